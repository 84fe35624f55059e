"""Every step a method can be made of: importing this package fills the registry."""

import bench.methods.steps.attributes
import bench.methods.steps.augment
import bench.methods.steps.heads
import bench.methods.steps.imbalance
import bench.methods.steps.matching
import bench.methods.steps.missing
import bench.methods.steps.noise
import bench.methods.steps.spaces
import bench.methods.steps.titles  # noqa: F401
