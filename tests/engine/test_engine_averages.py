"""What is averaged over the views of a video, by name."""

import numpy as np
import pytest
import torch
from engine_toy import MEAN, STD, ToyNet, ToyVideos, video_loader
from torch import nn

from vidrec.data.transforms import cut_views, normalize_clips
from vidrec.engine import tester
from vidrec.engine.averages import ViewAverage
from vidrec.utils.errors import UserError


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return ToyNet(0.5, batch_norm=True).eval()


def views_of(index, num_views=3):
    video = ToyVideos(num_views)[index]
    return normalize_clips(cut_views(video.frames, video.views, 0, num_views), MEAN, STD)


def scores(model, average, *, views_per_batch=2, num_views=3):
    scorer = tester.Tester(
        model, device=torch.device("cpu"), mean=MEAN, std=STD, views_per_batch=views_per_batch, average=ViewAverage(average, model.fc)
    )
    return scorer.run(video_loader(num_views), num_videos=9).scores


def test_each_average_of_two_views():
    logits = torch.tensor([[0.0, 0.0], [np.log(3.0), 0.0]])  # softmax: 1/2 1/2, and 3/4 1/4
    assert ViewAverage("logits_mean").score(logits).tolist() == pytest.approx([np.log(3.0) / 2, 0.0])
    assert ViewAverage("prob_mean").score(logits).tolist() == pytest.approx([0.625, 0.375])
    assert ViewAverage("prob_sum").score(logits).tolist() == pytest.approx([1.25, 0.75])
    assert ViewAverage("prob_mean", sigmoid=True).score(logits).tolist() == pytest.approx([0.625, 0.5])
    assert ViewAverage("prob_sum", sigmoid=True).score(logits).tolist() == pytest.approx([1.25, 1.0])
    assert ViewAverage("prob_sum", sigmoid=True).scores_are == "sums of sigmoid probabilities"
    assert (ViewAverage("prob_mean").scores_are, ViewAverage("logits_mean", sigmoid=True).scores_are) == ("softmax probabilities", "logits")


def test_features_are_averaged_before_the_classifier():
    classifier = nn.Linear(2, 1)
    with torch.no_grad():
        classifier.weight.copy_(torch.tensor([[1.0, 10.0]]))
        classifier.bias.fill_(0.5)
        assert ViewAverage("feature_mean", classifier).score(torch.tensor([[1.0, 0.0], [3.0, 1.0]])).tolist() == [2.0 + 5.0 + 0.5]


def test_averages_differ_in_the_class_that_they_choose():
    logits = torch.tensor([[9.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 3.0, 0.0]])
    assert int(ViewAverage("logits_mean").score(logits).argmax()) == 0  # one view is very sure
    assert int(ViewAverage("prob_mean").score(logits).argmax()) == 1  # two are sure


@pytest.mark.parametrize("average", ["logits_mean", "prob_mean", "prob_sum"])
def test_score_of_a_video_is_the_average_of_its_views(model, average):
    with torch.inference_mode():
        logits = model(views_of(7)).double()
    views = logits if average == "logits_mean" else logits.softmax(1)
    expected = views.sum(0) if average == "prob_sum" else views.mean(0)
    assert scores(model, average)[7].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


@pytest.mark.parametrize("views_per_batch", [1, 2, 100])
def test_mean_of_features_equals_mean_of_logits_for_a_linear_classifier(model, views_per_batch):
    features = scores(model, "feature_mean", views_per_batch=views_per_batch)
    assert np.abs(features - scores(model, "logits_mean")).max() <= 1e-6
    assert not model.fc._forward_pre_hooks  # none stays behind


class SquareHead(nn.Module):
    """A classifier that is not linear: the mean of its outputs is not its output for the mean."""

    def forward(self, features):
        return features**2


def test_mean_of_features_is_not_the_mean_of_logits_for_another_classifier(model):
    torch.manual_seed(1)
    bent = ToyNet(0.0, batch_norm=True).eval()
    bent.fc = SquareHead()
    with torch.inference_mode():
        features = []
        bent.fc.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
        bent(views_of(7))
    expected = features[0].mean(0) ** 2
    assert scores(bent, "feature_mean")[7].tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert np.abs(scores(bent, "logits_mean")[7] - expected.numpy()).max() > 1e-5


def test_what_cannot_be_averaged_is_said(model):
    with pytest.raises(ValueError, match=r"average is 'max'; it must be one of logits_mean, prob_mean, prob_sum, feature_mean"):
        ViewAverage("max")
    with pytest.raises(UserError, match=r"CONFIG.TEST.AVERAGE is feature_mean and the network's head has no layer `fc`"):
        ViewAverage("feature_mean")
    per_frame = nn.Sequential(nn.Flatten(2), nn.Linear(2 * 4 * 4, 3))
    words = r"The classifier got inputs of \[\[3, 3, 32\]\] for 3 views; feature_mean needs one vector per view, \[3, D\]"
    with pytest.raises(UserError, match=words):
        ViewAverage("feature_mean", per_frame[1]).outputs(per_frame, views_of(0))
