"""The weights that other sources publish for networks of ours. The numbers are those of their own pages."""

from typing import Any

from archzoo.weights import _digests
from archzoo.weights._published_set import IMAGENET, PublishedWeights

Options = dict[str, Any]
Images = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of each channel

B: Options = {"option": "B"}
BN: Options = {"batch_norm": True}
SYMMETRIC: Options = {"down": "symmetric"}
TORCH: Options = {"padding": "symmetric", "bn_eps": 1e-5}
PADDED: Options = {"pool": "padded"}
SCALED: Options = {"bn_scale": True}
COUNTED: Options = {"count_include_pad": True}
SE_64X4D: Options = {"depth": 101, "cardinality": 64, "pool": "padded"}
CLASSES = {"cifar10": 10, "cifar100": 100, "svhn": 10}
RELEASES = "https://github.com/{}/releases/download/"

# chenyaofo/pytorch-cifar-models: data, depth, first digits of the SHA-256, top-1 accuracy in %.
CHENYAOFO = (
    *(("cifar10", 20, "4118986f", 92.60), ("cifar10", 32, "ef93fc4d", 93.53)),
    *(("cifar10", 44, "2a3cabcb", 94.01), ("cifar10", 56, "187c023a", 94.37)),
    *(("cifar100", 20, "23dac2f1", 68.83), ("cifar100", 32, "84213ce6", 70.16)),
    *(("cifar100", 44, "ffe32858", 71.63), ("cifar100", 56, "f2eff4c8", 72.63)),
)
CHENYAOFO_IMAGES: dict[str, Images] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5070, 0.4865, 0.4409), (0.2673, 0.2564, 0.2761)),
}

AKAMASTER_FILES = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/"
# akamaster/pytorch_resnet_cifar10: depth, first digits of the SHA-256, error on CIFAR-10 in %.
AKAMASTER = (
    *((20, "12fca82f", 8.27), (32, "d509ac18", 7.37), (44, "014dd654", 6.90), (56, "4bfd9763", 6.61)),
    *((110, "1d1ed7c2", 6.32), (1202, "f3b1deed", 6.18)),
)

# torchdistill: its file, our network, our options, accuracy in %. It publishes no hash.
TORCHDISTILL: tuple[tuple[str, str, Options, float], ...] = (
    *((f"cifar10-resnet{n}", f"resnet{n}", B, top1) for n, top1 in ((20, 91.92), (32, 93.03), (44, 93.20))),
    *((f"cifar10-resnet{n}", f"resnet{n}", B, top1) for n, top1 in ((56, 93.57), (110, 93.50))),
    ("cifar10-densenet_bc_k12_depth100", "densenet_bc", {"depth": 100, "k": 12}, 95.53),
    ("cifar100-densenet_bc_k12_depth100", "densenet_bc", {"depth": 100, "k": 12}, 77.14),
)
TORCHDISTILL_IMAGES: dict[str, Images] = {
    "cifar10": ((0.49139968, 0.48215841, 0.44653091), (0.24703223, 0.24348513, 0.26158784)),
    "cifar100": ((0.5070754, 0.48655024, 0.44091907), (0.26733398, 0.25643876, 0.2761503)),
}

# pytorchcv 0.0.74, ImageNet: its name, ours, our options, top-5 error in hundredths of a percent, SHA-1, release.
PYTORCHCV_IMAGENET: tuple[tuple[str, str, Options, str, str, int], ...] = (
    ("vgg11", "vgg_a", {}, "1036", "71e85f6ef76f56e3e89d597d2fc461496ed281e9", 381),
    ("vgg13", "vgg_b", {}, "0975", "2b2c8770a7610d9dcd444ec8ae992681e270eb42", 388),
    ("vgg16", "vgg_d", {}, "0865", "5ca155da3dc6687e070ff34815cb5aabd0bed4b9", 401),
    ("vgg19", "vgg_e", {}, "0790", "9bd923a82ece9f038e944d7666f1c11b478dc7e6", 420),
    ("bn_vgg11b", "vgg_a", BN, "0996", "ef747edc87705e1ed500a31c80199273b2fbd5fa", 407),
    ("bn_vgg13b", "vgg_b", BN, "0924", "5f313c535fc47c3ad6bd2f741f453dbcf8191be6", 488),
    ("bn_vgg16b", "vgg_d", BN, "0795", "bfff365ac38a763aaed4b4d9bdc7b2cdbe6c8e9f", 489),
    ("bn_vgg19b", "vgg_e", BN, "0746", "f523b4e4b070a170f63e9bb6965fca3764751aa9", 490),
    ("mobilenet_w1", "mobilenet_v1_x1_0", TORCH, "0895", "7e1d739f0fd4b95c16eef077c5dc0a5bb1da8ad5", 155),
    ("mobilenet_w3d4", "mobilenet_v1_x0_75", TORCH, "1076", "d801bcaea83885b16a0306b8b77fe314bbc585c3", 130),
    ("mobilenet_wd2", "mobilenet_v1_x0_5", TORCH, "1355", "41a21242c95050407df876cfa44bb5d3676aa751", 156),
    ("mobilenet_wd4", "mobilenet_v1_x0_25", TORCH, "2249", "1ad5e8fe8674cdf7ffda8450095eb96d227397e0", 62),
    ("resnet18", "resnet18", B, "0896", "77a56f155214819bfc79ff09795370f955b20e6d", 478),
    ("resnet34", "resnet34", B, "0780", "3f775482a327e5fc4850fbb77785bfc55e171e5f", 291),
    ("resnet50", "resnet50", {}, "0633", "b00d1c8e52aa7a2badc705b1545aaf6ccece6ce9", 329),
    ("resnet50b", "resnet50_v1_5", {}, "0638", "8a5473ef985d65076a3758117ad5700d726bd952", 308),
    ("resnet101", "resnet101", {}, "0540", "65faf44721096a75fa72b875efb416513f864078", 499),
    ("resnet101b", "resnet101_v1_5", {}, "0530", "f059ba3c7fa4a65f2da6e17f3718662d59836637", 357),
    ("resnet152", "resnet152", {}, "0468", "d46977ddb5660bb523e9f2de50e5d16cef8e3027", 518),
    ("resnet152b", "resnet152_v1_5", {}, "0445", "2f420307673264444e8457e2050b5d6b131002d7", 517),
    ("resnext50_32x4d", "resnext50_32x4d", {}, "0560", "d7976503d13734114364e0dfef1d22f6d76546d9", 498),
    ("resnext101_32x4d", "resnext101_32x4d", {}, "0434", "5ac165981bac62627719b3362b31b456cba05df4", 530),
    ("resnext101_64x4d", "resnext101_64x4d", {}, "0452", "60d1913ec591af7786056b1d87b3add07fdcf2e1", 544),
    ("pyramidnet101_a360", "pyramidnet101_a360", {}, "0543", "7f1747f84b83b504ece3eb2bc3924d36343358ad", 507),
    ("seresnet50", "se_resnet50", PADDED, "0575", "004bfde422c860c4f11b1e1190bb5a8db477d939", 441),
    ("seresnet101", "se_resnet101", PADDED, "0460", "37851448605dae67bbf83ff8e7f7e7cc367e1746", 533),
    ("seresnet152", "se_resnet152", PADDED, "0439", "7a6b02ac25caccb0420eea542c625f9b0bfb3e03", 538),
    ("seresnext50_32x4d", "se_resnext50_32x4d", PADDED, "0451", "52029a7f6170873b2d50a7016fba053e98183f7b", 505),
    ("seresnext101_32x4d", "se_resnext101_32x4d", PADDED, "0467", "c738e758c535fac87027fc4b9271a7cb95442505", 529),
    ("seresnext101_64x4d", "se_resnext", SE_64X4D, "0428", "ea9d98df431d53251011099f317cd20fa2307d1b", 561),
    ("senet154", "senet154", PADDED, "0455", "95dbccbe56dc93c4544e6d1c6673f09425a4cee2", 522),
    ("xception", "xception", TORCH, "0516", "a75b50eceb5fdfb1e1bfaada6820a448ce40e593", 544),
    ("inceptionv4", "inception_v4", SCALED, "0488", "4ae4f331a5ff649e39626fc49cd5c24b8159cd8c", 543),
    (
        *("inceptionresnetv2", "inception_resnet_v2_released", SCALED),
        *("0474", "19f51781f8a454803207e319289f404d50e252cb", 547),
    ),
    ("bninception", "bn_inception_caffe", {}, "0774", "d79ba5f573ba2da5fea5e4c9a7f67ddd526e234b", 405),
    ("inceptionv3", "inception_v3", COUNTED, "0533", "025fb71c673f8e325f4c24f25cbd4185540cca72", 552),
    ("densenet121", "densenet121", {}, "0704", "cf90d1394d197fde953f57576403950345bd0a66", 314),
    ("densenet161", "densenet161", {}, "0606", "da489277afe7f53048ec15bed7919486e22f1afa", 432),
    ("densenet169", "densenet169", {}, "0629", "44974a17309bb378e97c8f70f96f961ffbf9458d", 406),
    ("densenet201", "densenet201", {}, "0612", "6adc8625a4afa53e335272bab01b4908a0ca3f00", 426),
    ("condensenet74_c4_g4", "condensenet74_c4", {}, "0828", "5ba550494cae7081d12c14b02b2a02365539d377", 4),
    ("condensenet74_c8_g8", "condensenet74_c8", {}, "1006", "3574d874fefc3307f241690bad51f20e61be1542", 4),
    ("squeezenet_v1_0", "squeezenet1_0", {}, "1766", "afdbcf1aef39237300656d2c5a7dba19230e29fc", 128),
    ("squeezenet_v1_1", "squeezenet1_1", {}, "1772", "25b77bc39e35612abbe7c2344d2c3e1e6756c2f8", 88),
    ("shufflenetv2b_wd2", "shufflenet_v2_x0_5", SYMMETRIC, "1822", "01d18d6fa1a6136f605a4277f47c9a757f9ede3b", 157),
)
# Sides of the images of those that take no 224x224.
PYTORCHCV_SIDES = dict.fromkeys(("xception", "inceptionv3", "inceptionv4", "inceptionresnetv2"), 299)
# CIFAR and SVHN: its network, data, error in hundredths of a percent, SHA-1, release.
PYTORCHCV_SMALL = (
    ("resnet20", "cifar10", "0597", "9b0024ac4c2f374cde2c5052e0d0344a75871cdb", 163),
    ("resnet20", "cifar100", "2964", "a5322afed92fa96cb7b3453106f73cf38e316151", 180),
    ("resnet20", "svhn", "0343", "8232e6e4c2c9fac1200386b68311c3bd56f483f5", 265),
    ("resnet56", "cifar10", "0452", "628c42a26fe347b84060136212e018df2bb35e0f", 163),
    ("resnet56", "cifar100", "2488", "d65f53b10ad5d124698e728432844c65261c3107", 181),
    ("resnet56", "svhn", "0275", "6e08ed929b8f0ee649f75464f06b557089023290", 265),
    ("resnet110", "cifar10", "0369", "4d6ca1fc02eaeed724f4f596011e391528536049", 163),
    ("resnet110", "cifar100", "2280", "d8d397a767db6d22af040223ec8ae342a088c3e5", 190),
    ("resnet110", "svhn", "0245", "c971f0a38943d8a75386a60c835cc0843c2f6c1c", 265),
    ("resnet1202", "cifar10", "0353", "1d5a21290117903fb5fd6ba59f3f7e7da7c08836", 214),
    ("resnet1202", "cifar100", "2156", "86ecd091e5ac9677bf4518c644d08eb3e1d1708a", 410),
    ("resnext29_32x4d", "cifar10", "0315", "30413525cd4466dbef759294eda9b702bc39648f", 169),
    ("resnext29_32x4d", "cifar100", "1950", "13ba13d92f6751022549a3b370ae86d3b13ae2d1", 200),
    ("resnext29_32x4d", "svhn", "0280", "e85c5217944cdfafb0a538dd7cc817cffaada7c4", 275),
    ("resnext29_16x64d", "cifar10", "0241", "4133d3d04f9b10b132dcb959601d36f10123f8c2", 176),
    ("resnext29_16x64d", "cifar100", "1693", "05e9a7f113099a98b219cad622ecfad5517a3b54", 322),
    ("resnext29_16x64d", "svhn", "0268", "74332b714cd278bfca3f09dafe2a9d117510e9a4", 358),
    ("pyramidnet110_a48", "cifar10", "0372", "eb185645cda89e0c3c47b11c4b2d14ff18fa0ae1", 184),
    ("pyramidnet110_a48", "cifar100", "2095", "95da1a209916b3cf4af7e8dc44374345a88c60f4", 186),
    ("pyramidnet110_a48", "svhn", "0247", "d48bafbebaabe9a68e5924571752b3d7cd95d311", 281),
    ("pyramidnet110_a84", "cifar10", "0298", "7b835a3cf19794478d478aced63ca9e855c3ffeb", 185),
    ("pyramidnet110_a84", "cifar100", "1887", "ff711084381f217f84646c676e4dcc90269dc516", 199),
    ("pyramidnet110_a84", "svhn", "0243", "971576c61cf30e02f13da616afc9848b2a609e0e", 392),
    ("pyramidnet110_a270", "cifar10", "0251", "31bdd9d51ec01388cbb2adfb9f822c942de3c4ff", 194),
    ("pyramidnet110_a270", "cifar100", "1710", "7417dd99069d6c8775454475968ae226b9d5ac83", 319),
    ("pyramidnet110_a270", "svhn", "0238", "3047a9bb7c92a09adf31590e3fe6c9bcd36c7a67", 393),
    ("pyramidnet164_a270_bn", "cifar10", "0242", "daa2a402c1081323b8f2239f2201246953774e84", 264),
    ("pyramidnet164_a270_bn", "cifar100", "1670", "54d99c834bee0ed7402ba46e749e48182ad1599a", 312),
    ("pyramidnet164_a270_bn", "svhn", "0233", "42d4c03374f32645924fc091d599ef7b913e2d32", 396),
    ("pyramidnet200_a240_bn", "cifar10", "0244", "44433afdd2bc32c55dfb1e8347bc44d1c2bf82c7", 268),
    ("pyramidnet200_a240_bn", "cifar100", "1609", "087c02d6882e274054f44482060f193b9fc208bb", 317),
    ("pyramidnet200_a240_bn", "svhn", "0232", "f9660c25f1bcff9d361aeca8fb3efaccdc0546e7", 397),
    ("pyramidnet236_a220_bn", "cifar10", "0247", "daa91d74979c451ecdd8b59e4350382966f25831", 285),
    ("pyramidnet236_a220_bn", "cifar100", "1634", "a45816ebe1d6a67468b78b7a93334a41aca1c64b", 312),
    ("pyramidnet236_a220_bn", "svhn", "0235", "f74fe248b6189699174c90bc21e7949d3cca8130", 398),
    ("pyramidnet272_a200_bn", "cifar10", "0239", "586b1ecdc8b34b69dcae4ba57f71c24583cca9b1", 284),
    ("pyramidnet272_a200_bn", "cifar100", "1619", "98bc2f48da0f2c68bc5376c17b0aefc734a64881", 312),
    ("pyramidnet272_a200_bn", "svhn", "0240", "96f6e740dcdc917d776f6df855e3437c93d0da4f", 404),
    ("densenet40_k12_bc", "cifar10", "0643", "6dc86a2ea1d088f088462f5cbac06cc0f37348c0", 231),
    ("densenet40_k12_bc", "cifar100", "2841", "1e9db7651a21e807c363c9f366bd9e91ce2f296f", 232),
    ("densenet40_k12_bc", "svhn", "0320", "320760528b009864c68ff6c5b874e9f351ea7a07", 279),
    ("densenet40_k24_bc", "cifar10", "0452", "669c525548a4a2392c5e3c380936ad019f2be7f9", 220),
    ("densenet40_k24_bc", "cifar100", "2267", "411719c0177abf58eddaddd05511c86db0c9d548", 221),
    ("densenet40_k24_bc", "svhn", "0290", "f4440d3b8c974c9e1014969f4d5832c6c90195d5", 280),
    ("densenet40_k36_bc", "cifar10", "0404", "b1a4cc7e67db1ed8c5583a59dc178cc7dc2c572e", 224),
    ("densenet40_k36_bc", "cifar100", "2050", "cde836fafec1e5d6c8ed69fd3cfe322e8e71ef1d", 225),
    ("densenet40_k36_bc", "svhn", "0260", "8c7db0a291a0797a8bc3c709bff7917bc41471cc", 311),
    ("densenet100_k12_bc", "cifar10", "0416", "b9232829b13c3f3f2ea15f4be97f500b7912c3c2", 189),
    ("densenet100_k12_bc", "cifar100", "2119", "05a6f02772afda51a612f5b92aadf19ffb60eb72", 208),
    ("densenet190_k40_bc", "cifar10", "0252", "2896fa088aeaef36fcf395d404d97ff172d78943", 286),
    ("densenet250_k24_bc", "cifar10", "0267", "f8f9d3052bae1fea7e33bb1ce143c38b4aa5622b", 290),
    ("densenet250_k24_bc", "cifar100", "1739", "09ac3e7d9fbe6b97b170bd838dac20ec144b4e49", 303),
    ("wrn16_10", "cifar10", "0293", "ce810d8a17a2deb73eddb5bec8709f93278bc53e", 166),
    ("wrn16_10", "cifar100", "1895", "bef9809c845deb1b2bb0c9aaaa7c58bd97740504", 204),
    ("wrn16_10", "svhn", "0278", "5ab2a4edd5398a03d2e28db1b075bf0313ae5828", 271),
    ("wrn28_10", "cifar10", "0239", "fe97dcd6d0dd8dda8e9e38e6cfa320cffb9955ce", 166),
    ("wrn28_10", "cifar100", "1788", "8c3fe8185d3af9cc3813fe376cab895f6780ac18", 320),
    ("wrn28_10", "svhn", "0271", "d62b6bbaef7228706a67c2c8416681f97c6d4688", 276),
    ("wrn40_8", "cifar10", "0237", "8dc84ec730f35c4b8968a022bc045c0665410840", 166),
    ("wrn40_8", "cifar100", "1803", "0d18bfbff85951d88a881dc6a15ad46f56ea8c28", 321),
    ("wrn40_8", "svhn", "0254", "dee59602c10e5d56bd9c168e8e8400792b9a8b08", 277),
)
PYTORCHCV_PYRAMIDS = (
    *("pyramidnet110_a48", "pyramidnet110_a84", "pyramidnet110_a270", "pyramidnet164_a270_bn"),
    *("pyramidnet200_a240_bn", "pyramidnet236_a220_bn", "pyramidnet272_a200_bn"),
)
PYTORCHCV_OURS: dict[str, tuple[str, Options]] = {
    **{f"resnet{depth}": (f"resnet{depth}", B) for depth in (20, 56, 110, 1202)},
    "resnext29_32x4d": ("resnext_cifar", {"cardinality": 32, "base_width": 4}),
    "resnext29_16x64d": ("resnext29_16x64d", {}),
    **{name: (name.removesuffix("_bn"), {}) for name in PYTORCHCV_PYRAMIDS},
    **{
        f"densenet{depth}_k{k}_bc": ("densenet_bc", {"depth": depth, "k": k})
        for depth, k in ((40, 12), (40, 24), (40, 36), (100, 12), (190, 40), (250, 24))
    },
    **{f"wrn{depth}_{k}": (f"wide_resnet_{depth}_{k}", {}) for depth, k in ((16, 10), (28, 10), (40, 8))},
}
PYTORCHCV_IMAGES: Images = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))

# OpenMMLab: its file, first digits of the SHA-256, our network, order of the channels, their means from 0 to 255. The
# deviation is 1 of 255. These are backbones, without a classifier.
OPENMMLAB = (
    ("resnet50_msra", "5891d200", "resnet50", "BGR", (103.53, 116.28, 123.675)),
    ("resnet101_msra", "6cc46731", "resnet101", "BGR", (103.53, 116.28, 123.675)),
    ("vgg16_caffe", "292e1171", "vgg_d", "RGB", (123.675, 116.28, 103.53)),
)

# The ONNX model zoo: its model, our network, top-1 and top-5 accuracy in %. The means, from 0 to 255, are those of the
# preprocessing that these accuracies refer to; the deviation is 1 of 255. Caffe's images are blue, green, red. The
# repository of the zoo, onnx/models, serves no files since July 2025, and names this organization for them.
ONNX = (("googlenet-12", "googlenet", 67.78, 88.34), ("bvlcalexnet-12", "alexnet_caffe", 54.80, 78.23))
ONNX_FILES = "https://huggingface.co/onnxmodelzoo/{0}/resolve/main/{0}.onnx"
ONNX_MEANS = (103.939, 116.779, 123.68)


def _small(
    library: str, network: str, tag: str, data: str, images: Images, *, options: Options, **known: str
) -> PublishedWeights:
    """A set for 32x32 pixels; ``known`` are its URL, its hash and what its authors print."""
    classes = CLASSES[data]
    if classes != 10:
        options = {**options, "num_classes": classes}
    return PublishedWeights(
        *(library, network, tag),
        options=options,
        input_size=(3, 32, 32),
        mean=images[0],
        std=images[1],
        labels=data,
        num_classes=classes,
        **known,  # type: ignore[arg-type]
    )


def _pytorchcv_url(name: str, error: str, sha1: str, release: int) -> str:
    return RELEASES.format("osmr/imgclsmob") + f"v0.0.{release}/{name}-{error}-{sha1[:8]}.pth.zip"


def _percent(hundredths: str) -> str:
    return f"{int(hundredths) / 100:.2f} %"


BY_SOURCES = (
    *(
        _small(
            *("chenyaofo", f"resnet{depth}", f"{data}_resnet{depth}", data),
            CHENYAOFO_IMAGES[data],
            options=B,
            url=RELEASES.format("chenyaofo/pytorch-cifar-models") + f"resnet/{data}_resnet{depth}-{digits}.pt",
            sha256=digits,
            printed=f"top-1 accuracy {top1:.2f} %",
        )
        for data, depth, digits, top1 in CHENYAOFO
    ),
    *(
        _small(
            *("akamaster", f"resnet{depth}", f"resnet{depth}", "cifar10"),
            IMAGENET,
            options={},
            url=AKAMASTER_FILES + f"resnet{depth}-{digits}.th",
            sha256=digits,
            printed=f"error {error:.2f} %",
        )
        for depth, digits, error in AKAMASTER
    ),
    *(
        _small(
            *("torchdistill", network, file, file.partition("-")[0]),
            TORCHDISTILL_IMAGES[file.partition("-")[0]],
            options=options,
            url=RELEASES.format("yoshitomo-matsubara/torchdistill") + f"v0.1.1/{file}.pt",
            printed=f"accuracy {top1:.2f} %",
        )
        for file, network, options, top1 in TORCHDISTILL
    ),
    *(
        PublishedWeights(
            *("pytorchcv", network, name, _pytorchcv_url(name, error, sha1, release)),
            options=options,
            sha1=sha1,
            input_size=(3, *(PYTORCHCV_SIDES.get(name, 224),) * 2),
            printed=f"top-5 error {_percent(error)}",
        )
        for name, network, options, error, sha1, release in PYTORCHCV_IMAGENET
    ),
    *(
        _small(
            *("pytorchcv", PYTORCHCV_OURS[name][0], f"{name}_{data}", data),
            PYTORCHCV_IMAGES,
            options=PYTORCHCV_OURS[name][1],
            url=_pytorchcv_url(f"{name}_{data}", error, sha1, release),
            sha1=sha1,
            printed=f"error {_percent(error)}",
        )
        for name, data, error, sha1, release in PYTORCHCV_SMALL
    ),
    *(
        PublishedWeights(
            *("openmmlab", network, name),
            f"https://download.openmmlab.com/pretrain/third_party/{name}-{digits}.pth",
            digits,
            mean=tuple(mean / 255 for mean in means),
            std=(1 / 255,) * 3,
            channels=channels,
        )
        for name, digits, network, channels, means in OPENMMLAB
    ),
    *(
        PublishedWeights(
            *("onnx", network, name, ONNX_FILES.format(name), _digests.ONNX[name]),
            mean=tuple(mean / 255 for mean in ONNX_MEANS),
            std=(1 / 255,) * 3,
            channels="BGR",
            printed=f"top-1 accuracy {top1:.2f} %, top-5 {top5:.2f} %",
        )
        for name, network, top1, top5 in ONNX
    ),
)
