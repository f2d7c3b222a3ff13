"""Published weights files: which names have one, where it is and its full SHA-1."""

from typing import NamedTuple

_URLS = {"torch": "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/torch/models/{}"}


class WeightsFile(NamedTuple):
    """One published file, identified by (section, name, hashtag).

    Args:
        section: of the zoo: `torch`.
        sha1: of the file, 40 hexadecimal digits; the first 8 are its hashtag.
    """

    section: str
    name: str
    sha1: str

    @property
    def hashtag(self) -> str:
        return self.sha1[:8]

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.hashtag}.pth"

    @property
    def url(self) -> str:
        return _URLS[self.section].format(self.file_name)


FILES = (
    WeightsFile("torch", "resnet18_v1b_kinetics400", "854b23e460ab1fbc5a5cd458b439a90be1f98119"),
    WeightsFile("torch", "resnet34_v1b_kinetics400", "124a2fa45fce7102243515bdebfb262728c10ad0"),
    WeightsFile("torch", "resnet50_v1b_kinetics400", "9939dbdfdbf11cb42c06456f341596e75becf074"),
    WeightsFile("torch", "resnet101_v1b_kinetics400", "172afa3bcc5e922962c335b6ea9b7cedc8132c61"),
    WeightsFile("torch", "resnet152_v1b_kinetics400", "3dedb835f333e234a9279bbef4a9e2e840acc032"),
    WeightsFile("torch", "resnet50_v1b_sthsthv2", "cbb9167bd293a82475f5f179a29de1f5c2665b8a"),
    WeightsFile("torch", "i3d_resnet50_v1_kinetics400", "185454973645ff66b6310e715863384db135d87f"),
    WeightsFile("torch", "i3d_resnet101_v1_kinetics400", "a9bb4f89551c30d553a487fcc560ff7f41a3de8c"),
    WeightsFile("torch", "i3d_nl5_resnet50_v1_kinetics400", "9df1e103d54bc1227da58d19347e1371cf98a9fb"),
    WeightsFile("torch", "i3d_nl10_resnet50_v1_kinetics400", "281e1e8a8ef78ada7e095b43caf0cd3f75e7a6a4"),
    WeightsFile("torch", "i3d_nl5_resnet101_v1_kinetics400", "2cea8edd07e5565b9c1eb66ca862ade3127ce523"),
    WeightsFile("torch", "i3d_nl10_resnet101_v1_kinetics400", "526a2ed07cffeab6d827ab28c979b537100cd2b3"),
    WeightsFile("torch", "i3d_resnet50_v1_sthsthv2", "e975d989c1eb1e66e5be36c1c4d6ff626708cfae"),
    WeightsFile("torch", "slowfast_4x16_resnet50_kinetics400", "1d1eadb258ccfc0c117db0ff0eaf1638d18405b3"),
    WeightsFile("torch", "slowfast_8x8_resnet50_kinetics400", "e94e9a57eaa2f4dde12673bc6632f9aa090d8c21"),
    WeightsFile("torch", "slowfast_8x8_resnet101_kinetics400", "db5e9fef55b28eb55b6dc7b2cba98d0c14fc3568"),
    WeightsFile("torch", "slowfast_16x8_resnet50_sthsthv2", "0520323165727d59002c6c62071bc1dc28248469"),
)


def published(name: str) -> list[WeightsFile]:
    """The published files of a zoo name; those of its Kinetics-400 network for a `_custom` name, without a fitting classifier."""
    source = name.removesuffix("_custom") + "_kinetics400" if name.endswith("_custom") else name
    return [file for file in FILES if file.name == source]
