"""Who spoke when, offline: two public networks run by onnxruntime, and our own signal path around them."""
