"""vLLM in this process. The only room, with `bench`, that imports vllm and torch, and only when an engine starts."""
