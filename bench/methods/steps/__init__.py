"""Every step a method can be made of: importing this package fills the registry."""

import bench.methods.steps.attributes
import bench.methods.steps.augment
import bench.methods.steps.calibration
import bench.methods.steps.heads
import bench.methods.steps.imbalance
import bench.methods.steps.imbalance_heads
import bench.methods.steps.missing
import bench.methods.steps.noise
import bench.methods.steps.pairs
import bench.methods.steps.titles
import bench.methods.steps.transforms  # noqa: F401
