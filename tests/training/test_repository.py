from random import Random

from training.corpus import SourceFile
from training.repository import Repository
from training.samples import CodeSamples, Encoder
from training.tokenizer import train_tokenizer

SHAPES = SourceFile(
    "shop",
    "shop/shapes.py",
    "class Triangle:\n    def area(self):\n        return self.base * self.height / 2\n\n\n"
    "def perimeter_of(sides):\n    return sum(sides)\n",
)
MAIN = SourceFile(
    "shop",
    "shop/main.py",
    "from shop.shapes import perimeter_of\n\n\ndef report(sides):\n    total = perimeter_of(sides)\n    print(total)\n"
    * 20,
)


def test_chunks_are_whole_lines_of_other_files_with_the_most_similar_last() -> None:
    repository = Repository([MAIN, SHAPES])
    for seed in range(50):
        chunks = repository.chunks(MAIN, MAIN.text.index("print"), Random(seed), 3)
        assert len(chunks) <= 3
        for path, text in chunks:
            assert path == SHAPES.path
            assert f"\n{SHAPES.text}\n".find(f"\n{text}\n") >= 0


def test_definitions_of_names_near_the_hole_are_found() -> None:
    repository = Repository([MAIN, SHAPES])
    found = {
        chunk for seed in range(20) for chunk in repository.chunks(MAIN, MAIN.text.index("print"), Random(seed), 1)
    }
    assert (SHAPES.path, "def perimeter_of(sides):\n    return sum(sides)") in found


def test_a_package_of_one_file_has_no_chunks() -> None:
    assert Repository([MAIN]).chunks(MAIN, 200, Random(0), 3) == []


def test_other_files_stand_before_the_name_of_the_file_as_in_the_products_prompt() -> None:
    encode = Encoder(train_tokenizer([MAIN.text, SHAPES.text], 400))
    samples = CodeSamples([MAIN, SHAPES], encode, fim_share=1.0)
    texts = [
        encode._tokenizer.decode(samples.sample(Random(seed), 900), skip_special_tokens=False) for seed in range(80)
    ]
    several = [text for text in texts if text.count("<|file_sep|>") > 1]
    assert several
    for text in several:
        *others, named = text.split("<|fim_middle|>")[0].removeprefix("<|file_sep|>").split("<|file_sep|>")
        own = named.partition("\n")[0]
        assert all(other.partition("\n")[0] in {MAIN.path, SHAPES.path} - {own} for other in others)
        assert all(other.endswith("\n") for other in others)
        assert named.partition("\n")[2].startswith(("<|fim_prefix|>", "<|fim_suffix|>"))
