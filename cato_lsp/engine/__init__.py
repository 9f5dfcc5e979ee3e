"""vLLM in this process; with `bench`, the only room that imports vllm and torch."""
