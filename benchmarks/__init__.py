"""Programs that measure this product, apart from its tests."""
