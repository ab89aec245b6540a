"""The digits of scikit-learn."""

import torch


def test_digits_need_no_files(tmp_path, read_set, sizes):
    splits = read_set("digits", tmp_path)
    assert sizes(splits) == (1397, 200, 200)
    rows = torch.cat([splits.train.images, splits.valid.images, splits.test.images])
    assert (rows.min(), rows.max()) == (0, 255)
    assert all(len(split.labels.unique()) == 10 for split in (splits.train, splits.valid, splits.test))
    assert torch.equal(read_set("digits", tmp_path).test.labels, splits.test.labels)
