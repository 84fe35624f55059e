"""Every step a method can be made of: importing this package fills the registry."""

import bench.methods.steps.attributes
import bench.methods.steps.heads
import bench.methods.steps.imbalance
import bench.methods.steps.missing
import bench.methods.steps.noise  # noqa: F401
