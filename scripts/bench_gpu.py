"""The GPU measurements of docs/benchmarks.md, in one call of under ten minutes.

Fits the profile of Qwen2.5-Coder-7B's shape (dummy weights, so nothing is downloaded) and plays the mix under
several policies on the live engine:

    python scripts/bench_gpu.py --out results/

Needs vllm 0.26 or later and a GPU with some 30 GB free. `--rehearse` plays the same road with the bundled model on
whatever there is, also on a CPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cato_lsp.bench.hardware import load_profile

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


PROFILE = "h200-qwen2.5-coder-7b"
"""What is measured replaces the estimate of this name."""

REHEARSAL = ["--max-tokens", "512", "--max-model-len", "1024", "--length-scale", "0.1"]
"""The bundled model with short prompts, so that a CPU plays the same road in a few minutes."""


def limits(profile: str) -> list[str]:
    """Tokens, slots and context of the profile that the twin plays, so that both play the same engine."""
    of = load_profile(profile)
    return f"--max-tokens {of.max_tokens} --max-slots {of.max_slots} --max-model-len {of.max_model_len}".split()


def run_bench(engine: list[str], *arguments: str) -> None:
    """Run `cato-lsp bench`, in a process of its own: what one engine leaves on the GPU troubles no other."""
    subprocess.run([sys.executable, "-m", "cato_lsp", "bench", *engine, *arguments], check=True)


def main() -> None:
    """Fit, then compare policies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--policies", default="fcfs,priority,edf,cato")
    parser.add_argument("--rate", default="1.0")
    parser.add_argument("--duration", default="40")
    parser.add_argument("--rehearse", action="store_true", help="the bundled model instead, on whatever there is")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(SHAPE))
        name = "rehearsal" if options.rehearse else PROFILE
        engine = REHEARSAL if options.rehearse else ["--model", folder, "--load-format", "dummy", *limits(PROFILE)]
        profile = options.out / f"{name}.toml"
        run_bench(engine, "--fit", str(profile))
        print(profile.read_text(), flush=True)
        load = ["--workload", "poisson", "--rate", options.rate, "--duration", options.duration, "--seed", "11"]
        together: dict[str, Any] = {}
        for policy in options.policies.split(","):
            part = options.out / f"{policy}.json"
            run_bench(engine, *load, "--policies", policy, "--json", str(part))
            run = json.loads(part.read_text())
            together = {**run, "policies": {**together.get("policies", {}), **run["policies"]}}
            # Written after every policy: whatever stops the script, what was measured stays.
            (options.out / f"{name}.json").write_text(json.dumps(together, indent=2) + "\n")


if __name__ == "__main__":
    main()
