"""vLLM in this process; with `bench`, the only package that imports vllm and torch."""
