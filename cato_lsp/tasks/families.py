"""The fill-in-the-middle (FIM) prompt formats of the families of code models.

Sources: Bavarian et al. 2022 (arXiv:2207.14255) for PSM and SPM; StarCoder2 (arXiv:2402.19173, section 5.2);
Code Llama (arXiv:2308.12950, section 2.3, and its reference ``infilling_prompt_tokens``); DeepSeek-Coder
README, "Code Insertion"; Qwen2.5-Coder technical report (arXiv:2409.12186, figures 2 and 4); CodeGemma
prompt structure (ai.google.dev); Mistral's ``mistral-common`` tokenizer v3 for Codestral; Granite 3.3
tokens as listed in ggml-org/llama.cpp#12988; model card of JetBrains/Mellum-4b-base; Seed-Coder (arXiv:2506.03524,
section 3.1); Zed's ``crates/edit_prediction/src/fim.rs`` for GLM-4; CodeGeeX4 README, "infilling", and Continue's
``AutocompleteTemplate.ts`` for its other files and for Codestral's; Qwen3-Coder README, "Fill in the middle".
"""

from __future__ import annotations

from dataclasses import replace

from cato_lsp.tasks.fim_family import FimFamily, Order

_ENDOFTEXT = "<|endoftext|>"

CATO = FimFamily(
    name="cato",
    order=Order.PSM,
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    stop=(_ENDOFTEXT,),
    file_separator="<|file_sep|>",
    names_file=True,
    prompt_tokens=1000,
    heals=True,
    names=("cato",),
)
QWEN_CODER = FimFamily(
    name="qwen-coder",
    order=Order.PSM,
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    stop=(_ENDOFTEXT, "<|fim_pad|>", "<|repo_name|>", "<|im_start|>", "<|im_end|>"),
    file_separator="<|file_sep|>",
    repository="<|repo_name|>",
    learned_files=True,
    model_types=frozenset({"qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_next"}),
    names=("qwen",),
    telling=("<|fim_pad|>", "<|repo_name|>"),
)
QWEN3_CODER_INSTRUCT = replace(
    QWEN_CODER,
    name="qwen3-coder-instruct",
    begin="<|im_start|>system\nYou are a code completion assistant.<|im_end|>\n<|im_start|>user\n",
    end="<|im_end|>\n<|im_start|>assistant\n",
    names=(r"qwen3-coder(?!.*base)",),
    by_name=True,
)
"""The line typed so far begins the answer, so that typing only appends."""
GRANITE_4 = FimFamily(
    name="granite-4",
    order=Order.PSM,
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    stop=("<|end_of_text|>", "<|fim_pad|>", "<|reponame|>", "<|start_of_role|>"),
    file_separator="<|filename|>",
    repository="<|reponame|>",
    repository_end="",
    model_types=frozenset({"granitemoehybrid"}),
    names=(r"granite-?4",),
    telling=("<|filename|>", "<|reponame|>"),
)
CODEGEMMA = FimFamily(
    name="codegemma",
    order=Order.PSM,
    prefix="<|fim_prefix|>",
    suffix="<|fim_suffix|>",
    middle="<|fim_middle|>",
    bos="<bos>",
    stop=("<eos>", "<|file_separator|>", "<end_of_turn>"),
    file_separator="<|file_separator|>",
    learned_files=True,
    model_types=frozenset({"gemma"}),
    names=("codegemma",),
    telling=("<|file_separator|>",),
)
STARCODER2 = FimFamily(
    name="starcoder2",
    order=Order.PSM,
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    stop=(_ENDOFTEXT, "<fim_pad>", "<repo_name>"),
    file_separator="<file_sep>",
    repository="<repo_name>",
    repository_end="",
    path_in_prefix=True,
    learned_files=True,
    model_types=frozenset({"starcoder2"}),
    names=("starcoder2", "codeqwen"),
    telling=("<file_sep>",),
)
STARCODER = FimFamily(
    name="starcoder",
    order=Order.PSM,
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    stop=(_ENDOFTEXT, "<fim_pad>", "<reponame>"),
    file_separator="<filename>",
    model_types=frozenset({"gpt_bigcode"}),
    names=("starcoder", "stable-code"),
    telling=("<gh_stars>",),
)
GRANITE = FimFamily(
    name="granite",
    order=Order.PSM,
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    stop=(_ENDOFTEXT, "<|end_of_text|>", "<fim_pad>", "<reponame>"),
    model_types=frozenset({"granite", "granitemoe", "granitemoehybrid"}),
    names=("granite",),
)
MELLUM = FimFamily(
    name="mellum",
    order=Order.SPM,
    prefix="<fim_prefix>",
    suffix="<fim_suffix>",
    middle="<fim_middle>",
    stop=(_ENDOFTEXT, "<fim_pad>", "<reponame>"),
    file_separator="<filename>",
    names_file=True,
    learned_files=True,
    model_types=frozenset({"mellum"}),
    names=("mellum",),
)
CODELLAMA = FimFamily(
    name="codellama",
    order=Order.PSM,
    prefix="▁<PRE>",
    suffix="▁<SUF>",
    middle="▁<MID>",
    bos="<s>",
    stop=("▁<EOT>", "</s>"),
    model_types=frozenset({"llama"}),
    names=("codellama", "code-llama"),
)
DEEPSEEK_CODER = FimFamily(
    name="deepseek-coder",
    order=Order.PSM,
    prefix="<｜fim▁begin｜>",
    suffix="<｜fim▁hole｜>",
    middle="<｜fim▁end｜>",
    bos="<｜begin▁of▁sentence｜>",
    stop=("<｜end▁of▁sentence｜>", "<|EOT|>"),
    names=("deepseek",),
)
SEED_CODER = FimFamily(
    name="seed-coder",
    order=Order.SPM,
    prefix="<[fim-prefix]>",
    suffix="<[fim-suffix]>",
    middle="<[fim-middle]>",
    tokenizer_begins=True,
    stop=("<[end▁of▁sentence]>",),
    names=("seed-coder",),
)
GLM_4 = FimFamily(
    name="glm-4",
    order=Order.PSM,
    prefix="<|code_prefix|>",
    suffix="<|code_suffix|>",
    middle="<|code_middle|>",
    tokenizer_begins=True,
    stop=(_ENDOFTEXT, "<|user|>", "<|assistant|>"),
    model_types=frozenset({"glm", "glm4", "glm4_moe"}),
    names=("glm",),
)
CODEGEEX_4 = FimFamily(
    name="codegeex-4",
    order=Order.SPM,
    prefix="<|code_prefix|>",
    suffix="<|code_suffix|>",
    middle="<|code_middle|>",
    tokenizer_begins=True,
    begin="<|user|>\n",
    end="<|assistant|>\n",
    stop=(_ENDOFTEXT, "<|user|>", "<|assistant|>"),
    file_separator="###REFERENCE:\n###PATH:",
    own_separator="###PATH:",
    own_end="\n###LANGUAGE:{language}\n###MODE:BLOCK\n",
    names_file=True,
    learned_files=True,
    model_types=frozenset({"chatglm"}),
    names=("codegeex",),
    by_name=True,
)
CODESTRAL = FimFamily(
    name="codestral",
    order=Order.SPM,
    prefix="[PREFIX]",
    suffix="[SUFFIX]",
    bos="<s>",
    stop=("</s>", "[MIDDLE]"),
    file_separator="+++++ ",
    file_end="\n\n",
    files_in_prefix=True,
    learned_files=True,
    model_types=frozenset({"mistral"}),
    names=("codestral",),
    # Mistral's Tekken vocabularies reserve [PREFIX] and [SUFFIX] for every model.
    reserved_by=("<SPECIAL_20>", "<SPECIAL_100>", "<SPECIAL_999>"),
)
PLAIN = FimFamily(name="plain", order=Order.PLAIN)
"""The fallback for a model without FIM tokens: continue the text before the cursor and ignore the text after it.
"""

FAMILIES = (
    CATO,
    QWEN_CODER,
    QWEN3_CODER_INSTRUCT,
    GRANITE_4,
    CODEGEMMA,
    STARCODER2,
    STARCODER,
    GRANITE,
    MELLUM,
    CODELLAMA,
    DEEPSEEK_CODER,
    SEED_CODER,
    GLM_4,
    CODEGEEX_4,
    CODESTRAL,
)
CONTROL_TOKENS = frozenset(token for family in FAMILIES for token in family.control)
"""All control tokens of all families."""
