"""The structured interior-point method: continuous batteries of any number, with a proof."""
