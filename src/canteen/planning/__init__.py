"""What a model takes before it is loaded, bought or trained: pure functions over factors."""
