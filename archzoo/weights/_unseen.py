"""What the tensors of a network do not show, and networks of others that are taken for ours."""

# By our constructor: networks with these tensors may differ in this.
UNSEEN = {
    "alexnet": "the constants of response normalization, its place, and how sizes are rounded",
    "alexnet_caffe": "the constants of response normalization, its place, and how sizes are rounded",
    "alexnet_one_tower": "whether response normalization follows the first two convolutions",
    "bn_inception": "ReLU or sigmoid, how convolutions and poolings pad, and whether averages count the padding",
    "bn_inception_caffe": "the epsilon of batch normalization, and whether average poolings count their padding",
    "bn_inception_slim": "how convolutions and poolings pad, and whether average poolings count their padding",
    "conv_mobilenet": "ReLU or ReLU6, how convolutions of stride 2 pad, and epsilon of batch normalization",
    "densenet": "where dropout was",
    "densenet_bc": "where dropout was",
    "googlenet": "the constants of response normalization, and how poolings round sizes",
    "inception_v3": "whether average poolings count their padding",
    "inception_v3_slim": "whether average poolings count their padding",
    "lenet5_textbook": "ReLU or tanh, max or average pooling",
    "mobilenet_v1": "ReLU or ReLU6, how convolutions of stride 2 pad, and epsilon of batch normalization",
    "mobilenet_v2": "how convolutions of stride 2 pad, and epsilon of batch normalization",
    "nin": "max or average pooling, and how poolings round sizes",
    "preact_resnet": "where a bottleneck strides, and whether a projection reads the maps before the activation",
    "pyramidnet": "where a bottleneck strides, and where ReLUs are",
    "pyramidnet_cifar": "where a bottleneck strides, and where ReLUs are",
    "resnet": "whether a bottleneck strides in its first 1x1 or in its 3x3 convolution",
    "resnet_cifar": "on which side of the maps a shortcut adds its zeros",
    "resnet_v1_5": "whether a bottleneck strides in its first 1x1 or in its 3x3 convolution",
    "resnext": "whether a bottleneck strides in its first 1x1 or in its 3x3 convolution",
    "shufflenet_v1": "where and how maps are shuffled, and whether pooled maps come before those of the branch",
    "se_resnet": "where a bottleneck strides, and whether the first pooling is padded",
    "se_resnext": "where a bottleneck strides, and whether the first pooling is padded",
    "senet154": "whether the first pooling is padded",
    "shufflenet_v2": "at which end of a unit its maps are shuffled",
    "squeezenet1_0": "the padding of the last convolution, and simple bypasses",
    "squeezenet1_1": "simple bypasses",
    "vgg": "the order of the image's channels, which is BGR in the released models, and response normalization",
    "wide_resnet": "whether a projection reads the maps before the activation",
    "zfnet": "the constants of response normalization, and whether it comes before the pooling",
}

# By the number of parameters with ten classes: networks that no paper has, under a paper's name.
OTHERS = {
    1_059_298: "andreasveit's DenseNet-40 (k = 12): plain, with a first convolution to 2k maps where the paper has 16",
    1_619_290: "hysts's resnet_preact-164: its first stage has a quarter of the paper's maps",
    1_704_154: "bearpaw's resnet-110 and pytorchcv's resnet164bn: a ResNet-164 of bottlenecks, which the paper has not",
    6_166_250: "kuangliu's GoogLeNet: batch normalization, two 3x3 for a 5x5, made for 32x32 pixels",
    87_250_536: "zfnet512 of the ONNX model zoo: 512 maps in conv3 to conv5, 1024 units in fc7, other sizes and orders",
    11_173_962: "kuangliu's ResNet18: the network for ImageNet with a 3x3 first convolution and no pooling",
}
