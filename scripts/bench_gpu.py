"""The GPU measurements of docs/benchmarks.md, in one call of under ten minutes.

Fits the profile of Qwen2.5-Coder-7B's shape (dummy weights, so nothing is downloaded) and plays the mix under
several policies on the live engine:

    python scripts/bench_gpu.py --out results/

Needs vllm 0.26 or later and a GPU with some 30 GB free.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SHAPE = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "num_hidden_layers": 28,
    "vocab_size": 152064,
    "max_position_embeddings": 32768,
    "rope_theta": 1000000.0,
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
"""Qwen2.5-Coder-7B."""


def main() -> None:
    """Fit, then compare policies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--policies", default="fcfs,priority,edf,pressure,cato")
    parser.add_argument("--rate", default="1.0")
    parser.add_argument("--duration", default="45")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(SHAPE))
        engine = ["--model", folder, "--load-format", "dummy", "--max-tokens", "8192", "--max-model-len", "16384"]
        bench = [sys.executable, "-m", "cato_lsp", "bench", *engine]
        profile = options.out / "h200-qwen2.5-coder-7b.toml"
        subprocess.run([*bench, "--fit", str(profile)], check=True)
        print(profile.read_text())
        load = ["--workload", "poisson", "--rate", options.rate, "--duration", options.duration]
        subprocess.run(
            [*bench, *load, "--policies", options.policies, "--json", str(options.out / "gpu.json")], check=True
        )


if __name__ == "__main__":
    main()
