"""The layers of ../workloads/layerCases.ts in PyTorch, as its users write them; those that it does not have are composed of
what it has. A permutation says how a tensor of ours becomes one of PyTorch's, which has channels before pixels."""
import math

import torch
import torch.nn.functional as F

SAME = None
# Channels last to channels first, of sequences, images and volumes.
SEQUENCE, IMAGE, VOLUME = (0, 2, 1), (0, 3, 1, 2), (0, 4, 1, 2, 3)
TRANSPOSED = (1, 0)
# [window…, channels, filters] to [filters, channels, window…].
KERNEL_1D, KERNEL_2D, KERNEL_3D = (2, 1, 0), (3, 2, 0, 1), (4, 3, 0, 1, 2)
DENSE = (TRANSPOSED, SAME)


class Case:
    """`layout` is that of x, `to` that of y if it is another, `parameters` those of the weights."""

    def __init__(self, apply, layout=SAME, parameters=(), to="as x"):
        self.apply, self.layout, self.parameters = apply, layout, parameters
        self.to = layout if to == "as x" else to


def recurrent(kind, biases):
    def apply(x, weight, recurrent_weight, bias, second=None):
        state = torch.zeros(1, x.shape[0], recurrent_weight.shape[1])
        second = torch.zeros_like(bias) if second is None else second
        states = (state, state) if kind is torch.lstm else state
        return kind(x, states, [weight, recurrent_weight, bias, second], True, 1, 0.0, True, False, True)[0]

    return Case(apply, parameters=(TRANSPOSED, TRANSPOSED) + (SAME,) * biases)


def conv_lstm(x, weight, recurrent_weight, bias):
    outputs = []
    h = c = None
    for t in range(x.shape[1]):
        gates = F.conv2d(x[:, t], weight, bias, padding=1)
        if h is not None:
            gates = gates + F.conv2d(h, recurrent_weight, padding=1)
        i, f, g, o = gates.chunk(4, 1)
        new = torch.sigmoid(i) * torch.tanh(g)
        c = new if c is None else torch.sigmoid(f) * c + new
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, 1)


def split(x, heads):
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def attend(q, k, v, causal, heads=4):
    q, k, v = (split(part, heads) for part in (q, k, v))
    if hasattr(F, "scaled_dot_product_attention"):
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    else:
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
        if causal:
            hidden = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(hidden, -math.inf)
        y = torch.softmax(scores, -1) @ v
    return y.transpose(1, 2).flatten(2)


def self_attention(x, weight, bias, output_weight, output_bias):
    q, k, v = F.linear(x, weight, bias).chunk(3, 2)
    return F.linear(attend(q, k, v, True), output_weight, output_bias)


def norm(x, weight, bias):
    return F.layer_norm(x, weight.shape, weight, bias)


def feed_forward(x, hidden_weight, hidden_bias, weight, bias):
    return F.linear(F.relu(F.linear(x, hidden_weight, hidden_bias)), weight, bias)


def encoder(x, *p):
    x = norm(x + self_attention(x, *p[:4]), p[4], p[5])
    return norm(x + feed_forward(x, *p[6:10]), p[10], p[11])


def decoder(x, *p):
    memory = x
    x = norm(x + self_attention(x, *p[:4]), p[4], p[5])
    k, v = F.linear(memory, p[8], p[9]).chunk(2, 2)
    attended = attend(F.linear(x, p[6], p[7]), k, v, False)
    x = norm(x + F.linear(attended, p[10], p[11]), p[12], p[13])
    return norm(x + feed_forward(x, *p[14:18]), p[18], p[19])


def gated(activation):
    def apply(x):
        a, b = x.chunk(2, -1)
        return a * activation(b)

    return Case(apply)


def unpool(x):
    y, places = F.max_pool2d(x, 2, return_indices=True)
    return F.max_unpool2d(y, places, 2)


def rms_norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 2**-23) * weight


def sinusoids(x):
    positions = torch.arange(x.shape[1]).unsqueeze(1)
    rates = torch.exp(torch.arange(0, x.shape[2], 2) * (-math.log(10000.0) / x.shape[2]))
    table = torch.zeros(x.shape[1], x.shape[2])
    table[:, 0::2], table[:, 1::2] = torch.sin(positions * rates), torch.cos(positions * rates)
    return table


class Sinusoidal:
    """The table is made once, as in PyTorch's own tutorial."""

    table = None

    def __call__(self, x):
        if self.table is None:
            self.table = sinusoids(x)
        return x + self.table


def gaussian_dropout(x):
    return x * (1 + torch.randn_like(x))


def separable(convolve):
    def apply(x, depthwise, pointwise, bias):
        return convolve(convolve(x, depthwise, padding=1, groups=x.shape[1]), pointwise, bias)

    return apply


def depthwise(convolve):
    return lambda x, weight, bias: convolve(x, weight, bias, padding=1, groups=x.shape[1])


def convolution(convolve):
    return lambda x, weight, bias: convolve(x, weight, bias, padding=1)


def batch_norm(x, weight, bias):
    mean, variance = torch.zeros_like(weight), torch.ones_like(weight)
    return F.batch_norm(x, mean, variance, weight, bias, training=True)


def pad(*sizes, **options):
    return lambda x: F.pad(x, sizes, **options)


CASES = {
    "dense": Case(F.linear, parameters=DENSE),
    "conv1d": Case(convolution(F.conv1d), SEQUENCE, (KERNEL_1D, SAME)),
    "conv2d": Case(convolution(F.conv2d), IMAGE, (KERNEL_2D, SAME)),
    "depthwiseConv1d": Case(depthwise(F.conv1d), SEQUENCE, (KERNEL_1D, SAME)),
    "depthwiseConv2d": Case(depthwise(F.conv2d), IMAGE, (KERNEL_2D, SAME)),
    "separableConv1d": Case(separable(F.conv1d), SEQUENCE, (KERNEL_1D, KERNEL_1D, SAME)),
    "separableConv2d": Case(separable(F.conv2d), IMAGE, (KERNEL_2D, KERNEL_2D, SAME)),
    "convTranspose1d": Case(lambda x, w, b: F.conv_transpose1d(x, w, b, stride=2), SEQUENCE, (KERNEL_1D, SAME)),
    "convTranspose2d": Case(lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2), IMAGE, (KERNEL_2D, SAME)),
    "conv3d": Case(convolution(F.conv3d), VOLUME, (KERNEL_3D, SAME)),
    "convTranspose3d": Case(lambda x, w, b: F.conv_transpose3d(x, w, b, stride=2), VOLUME, (KERNEL_3D, SAME)),
    "convLstm2d": Case(conv_lstm, (0, 1, 4, 2, 3), (KERNEL_2D, KERNEL_2D, SAME)),
    "simpleRnn": recurrent(torch.rnn_tanh, 1),
    "lstm": recurrent(torch.lstm, 1),
    "gru": recurrent(torch.gru, 2),
    "maxPool1d": Case(lambda x: F.max_pool1d(x, 2), SEQUENCE),
    "maxPool2d": Case(lambda x: F.max_pool2d(x, 2), IMAGE),
    "maxPool3d": Case(lambda x: F.max_pool3d(x, 2), VOLUME),
    "maxPoolWithIndices": Case(lambda x: F.max_pool2d(x, 2, return_indices=True)[0], IMAGE),
    "maxUnpool": Case(unpool, IMAGE),
    "averagePool1d": Case(lambda x: F.avg_pool1d(x, 2), SEQUENCE),
    "averagePool2d": Case(lambda x: F.avg_pool2d(x, 2), IMAGE),
    "averagePool3d": Case(lambda x: F.avg_pool3d(x, 2), VOLUME),
    "lpPool1d": Case(lambda x: F.lp_pool1d(x.abs(), 3, 2), SEQUENCE),
    "lpPool2d": Case(lambda x: F.lp_pool2d(x, 2, 2), IMAGE),
    "adaptiveMaxPool1d": Case(lambda x: F.adaptive_max_pool1d(x, 16), SEQUENCE),
    "adaptiveMaxPool2d": Case(lambda x: F.adaptive_max_pool2d(x, 8), IMAGE),
    "adaptiveAveragePool1d": Case(lambda x: F.adaptive_avg_pool1d(x, 16), SEQUENCE),
    "adaptiveAveragePool2d": Case(lambda x: F.adaptive_avg_pool2d(x, 8), IMAGE),
    "globalMaxPool": Case(lambda x: F.adaptive_max_pool2d(x, 1).flatten(1), IMAGE, to=SAME),
    "globalAveragePool": Case(lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1), IMAGE, to=SAME),
    "pixelShuffle": Case(lambda x: F.pixel_shuffle(x, 2), IMAGE),
    "pixelUnshuffle": Case(lambda x: F.pixel_unshuffle(x, 2), IMAGE),
    "pad": Case(pad(2, 2, 2, 2, mode="reflect"), IMAGE),
    "resize": Case(lambda x: F.interpolate(x, (48, 48), mode="bicubic"), IMAGE),
    "upsample1d": Case(lambda x: F.interpolate(x, scale_factor=2), SEQUENCE),
    "upsample2d": Case(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), IMAGE),
    "batchNorm": Case(batch_norm, IMAGE, (SAME, SAME)),
    "groupNorm": Case(lambda x, w, b: F.group_norm(x, 8, w, b), IMAGE, (SAME, SAME)),
    "instanceNorm": Case(lambda x, w, b: F.instance_norm(x, weight=w, bias=b), IMAGE, (SAME, SAME)),
    "layerNorm": Case(norm, parameters=(SAME, SAME)),
    "rmsNorm": Case(rms_norm, parameters=(SAME,)),
    "l2Normalize": Case(lambda x: F.normalize(x, dim=-1)),
    "localResponseNorm": Case(lambda x: F.local_response_norm(x, 5), IMAGE),
    "bilinear": Case(lambda x, w, b: F.bilinear(x, x * x, w, b), parameters=((2, 0, 1), SAME)),
    "cosineSimilarity": Case(lambda x: F.cosine_similarity(x, x * x, -1)),
    "pairwiseDistance": Case(lambda x: F.pairwise_distance(x, x * x)),
    "celu": Case(F.celu),
    "elu": Case(F.elu),
    "gelu": Case(F.gelu),
    "hardShrink": Case(F.hardshrink),
    "hardSigmoid": Case(F.hardsigmoid),
    "hardSwish": Case(F.hardswish),
    "hardTanh": Case(F.hardtanh),
    "leakyRelu": Case(F.leaky_relu),
    "logSigmoid": Case(F.logsigmoid),
    "logSoftmax": Case(lambda x: F.log_softmax(x, -1)),
    "mish": Case(F.mish),
    "prelu": Case(F.prelu, parameters=(SAME,)),
    "relu": Case(F.relu),
    "relu6": Case(F.relu6),
    "selu": Case(F.selu),
    "sigmoid": Case(torch.sigmoid),
    "silu": Case(F.silu),
    "softmax": Case(lambda x: F.softmax(x, -1)),
    "softmin": Case(lambda x: F.softmin(x, -1)),
    "softplus": Case(F.softplus),
    "softShrink": Case(F.softshrink),
    "softsign": Case(F.softsign),
    "tanh": Case(torch.tanh),
    "tanhShrink": Case(F.tanhshrink),
    "threshold": Case(lambda x: F.threshold(x, 0.5, 0.0)),
    "geglu": gated(F.gelu),
    "glu": Case(F.glu),
    "reglu": gated(F.relu),
    "swiglu": gated(F.silu),
    "alphaDropout": Case(lambda x: F.alpha_dropout(x, 0.5, True)),
    "dropout": Case(lambda x: F.dropout(x, 0.5, True)),
    "gaussianDropout": Case(gaussian_dropout),
    "gaussianNoise": Case(lambda x: x + 0.5 * torch.randn_like(x)),
    "spatialDropout1d": Case(lambda x: F.dropout1d(x, 0.5, True), SEQUENCE),
    "spatialDropout2d": Case(lambda x: F.dropout2d(x, 0.5, True), IMAGE),
    "permute": Case(lambda x: x.permute(0, 3, 1, 2).contiguous()),
    "repeatVector": Case(lambda x: x.unsqueeze(1).repeat(1, 16, 1)),
    "crop1d": Case(lambda x: x[:, :, 8:-8].contiguous(), SEQUENCE),
    "crop2d": Case(lambda x: x[:, :, 2:-2, 2:-2].contiguous(), IMAGE),
    "zeroPad1d": Case(pad(8, 8), SEQUENCE),
    "zeroPad2d": Case(pad(2, 2, 2, 2), IMAGE),
    "oneHot": Case(lambda x: F.one_hot(x, 64).float()),
    "embedding": Case(F.embedding, parameters=(SAME,)),
    "learnedPositions": Case(lambda x, w: x + w, parameters=(SAME,)),
    "sinusoidalPositions": Case(Sinusoidal()),
    "multiHeadAttention": Case(self_attention, parameters=DENSE * 2),
    "transformerEncoder": Case(encoder, parameters=DENSE * 2 + (SAME,) * 2 + DENSE * 2 + (SAME,) * 2),
    "transformerDecoder": Case(
        decoder,
        parameters=DENSE * 2 + (SAME,) * 2 + DENSE * 3 + (SAME,) * 2 + DENSE * 2 + (SAME,) * 2,
    ),
    "tiedDense": Case(lambda x, w, b: F.linear(F.embedding(x, w), w, b), parameters=(SAME, SAME)),
    "residual": Case(lambda x: x + F.relu(x)),
}


def there(value, permutation):
    return value if permutation is None else value.permute(permutation).contiguous()


def back(value, permutation):
    if permutation is None:
        return value
    return value.permute([permutation.index(axis) for axis in range(len(permutation))])


class Layer:
    """y, and from its gradient those of x (unless x are indices) and of the parameters."""

    def __init__(self, task):
        self.case = CASES[task["name"]]
        shaped = lambda leaf: leaf["values"].reshape(leaf["shape"])
        self.x = there(shaped(task["x"]), self.case.layout)
        pairs = zip(task["parameters"], self.case.parameters)
        self.parameters = [there(shaped(leaf), layout).requires_grad_() for leaf, layout in pairs]
        self.upstream = there(shaped(task["upstream"]), self.case.to)
        if self.x.is_floating_point():
            self.x.requires_grad_()
        self.wrt = [leaf for leaf in (self.x, *self.parameters) if leaf.requires_grad]
        self.places, self.random = task["places"], task["random"]

    def reset(self):
        pass

    def step(self):
        y = self.case.apply(self.x, *self.parameters)
        return (y, *torch.autograd.grad(y, self.wrt, self.upstream)) if self.wrt else (y,)

    def results(self):
        """The values at `places`; if they are random, the mean of all squares."""
        torch.manual_seed(1)
        results = self.step()
        if self.random:
            return [value.square().mean().item() for value in results]
        layouts = [self.case.to, self.case.layout, *self.case.parameters]
        if not self.x.requires_grad:
            layouts.pop(1)
        here = [back(value, layout).flatten() for value, layout in zip(results, layouts)]
        return [value for t, at in zip(here, self.places) for value in t[at].tolist()]
