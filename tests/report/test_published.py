"""The paper's numbers are the printed ones and stand beside the right classifier only."""

import pytest

from frerec.report.published import ABLATION, CLASSIFIERS, INFERENCE, counterpart, lookup

# The paper's main table, row by row: DenseNet, ResNet50, ViT-B/16.
PRINTED = """
cardiomegaly raw    0.842 0.834 0.832
cardiomegaly gda    0.871 0.834 0.848
cardiomegaly frerec 0.899 0.888 0.888
brain_tumor  raw    0.840 0.793 0.753
brain_tumor  gda    0.794 0.783 0.758
brain_tumor  frerec 0.855 0.843 0.787
retinopathy  raw    0.840 0.843 0.834
retinopathy  gda    0.863 0.848 0.834
retinopathy  frerec 0.879 0.878 0.852
"""


@pytest.mark.parametrize("line", PRINTED.strip().splitlines())
def test_main_table_is_as_printed(line):
    dataset, arm, *values = line.split()
    found = lookup(dataset, arm, "densenet121")
    assert [found.by_classifier[name] for name in CLASSIFIERS] == [float(v) for v in values]
    assert found.auc == float(values[0])


@pytest.mark.parametrize(
    ("ours", "paper"),
    [
        ("densenet121", "DenseNet"),
        ("monai/DenseNet121", "DenseNet"),
        ("resnet50", "ResNet50"),
        ("resnet50.a1_in1k", "ResNet50"),
        ("vit_base_patch16_224", "ViT-B/16"),
        ("resnet10t", None),
        ("densenet169", None),
        ("resnet50d", None),
        ("", None),
    ],
)
def test_only_the_papers_classifiers_have_a_counterpart(ours, paper):
    assert counterpart(ours) == paper


def test_another_classifier_gets_all_three_numbers_and_none_of_its_own():
    found = lookup("cardiomegaly", "gda", "resnet10t")
    assert found.auc is None
    assert sorted(found.by_classifier.values()) == [0.834, 0.848, 0.871]


@pytest.mark.parametrize(
    ("dataset", "arm"), [(None, "raw"), ("phantoms", "raw"), ("cardiomegaly", "raw_frerec")]
)
def test_what_the_paper_lacks_has_no_numbers(dataset, arm):
    assert lookup(dataset, arm, "resnet50") is None


def test_ablation_and_inference_time_are_as_printed():
    rows = [(a.auc, a.accuracy, a.psnr, a.ssim) for a in ABLATION.values()]
    assert rows == [
        (0.81, 0.79, 25.10, 0.76),
        (0.85, 0.79, 36.44, 0.98),
        (0.87, 0.82, 35.51, 0.96),
        (0.89, 0.84, 35.62, 0.95),
    ]
    assert [(t.method, t.low, t.high, t.approximate) for t in INFERENCE] == [
        ("FreRec", 15, 18, False), ("DoGE", 33, 33, True),
    ]  # fmt: skip
