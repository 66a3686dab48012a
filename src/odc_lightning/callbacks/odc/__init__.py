"""Callbacks of ODC (`conf/algorithm/odc.yaml`, `conf/algorithm/odc_small.yaml`)."""
