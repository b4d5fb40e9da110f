"""The trainer's network computes what PyTorch's and Keras' compute with the same weights.

Makes each program's EfficientNet-B3 with random weights and random running statistics, saves it as that
program does, lets `leukd-train weights FILE --run PICTURE --json` read the file, and compares the features
after global max pooling, and the logits where there is a head of ours.

    python parity.py --binary target/release/leukd-train [--require torch,torchvision,keras]

Needs numpy, pillow, safetensors and torch with timm; torchvision, and keras >= 3 with h5py, where they are
installed. What is not installed is said and skipped, unless --require names it.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

MOST = 1e-4
SIDES = (64, 75, 224)
# Keras fixes the padding when it builds a network, and takes an open size for an even one.
EVEN = (64, 224)
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Failure(Exception):
    pass


class Bench:
    """The binary, a folder, and what was measured."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.failures = binary, folder, []

    def pictures(self, sides):
        import numpy as np
        from PIL import Image

        for side in sides:
            path = self.folder / f"{side}.png"
            if not path.exists():
                Image.fromarray(picture(side, side)).save(path)
            yield path, np.asarray(Image.open(path)).astype("float32")

    def ours(self, weights, picture):
        command = [self.binary, "weights", str(weights), "--run", str(picture), "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"{weights.name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def compare(self, name, weights, theirs, sides=SIDES):
        """`theirs` takes pixels [side, side, 3] over 0 to 255; returns features and perhaps logits."""
        import numpy as np

        for path, pixels in self.pictures(sides):
            answer = self.ours(weights, path)
            expected = theirs(pixels)
            parts = [("features", expected[0], answer["ran"]["features"])]
            if len(expected) > 1:
                parts.append(("logits", expected[1], answer["ran"]["logits"]))
            for part, theirs_are, ours_are in parts:
                theirs_are, ours_are = np.asarray(theirs_are).ravel(), np.asarray(ours_are)
                delta = float(np.abs(theirs_are - ours_are).max())
                spread = float(np.std(theirs_are))
                # A network that says nothing agrees with everything.
                good = delta <= MOST and spread > 1e-2
                if not good:
                    self.failures.append(name)
                print(
                    f"{'ok  ' if good else 'FAIL'} {name}, {pixels.shape[0]} px, {part}: max |Δ| {delta:.2e} "
                    f"(deviation {spread:.2f}, {len(answer['applied'])} applied, "
                    f"{len(answer['left_out'])} left out, {len(answer['missing'])} missing)"
                )


def picture(side, seed):
    """Noise over a ramp, so that every channel and place differs; every second one a disc of noise
    on black, away from the border, as a segmented cell is."""
    import numpy as np

    random = np.random.default_rng(seed)
    noise = random.integers(0, 70, (side, side, 3))
    ramp = np.linspace(0, 120, side)[None, :, None] + np.linspace(0, 60, side)[:, None, None]
    if seed % 2:
        y, x = np.mgrid[:side, :side]
        centre = side * 3 // 7
        disc = (y - centre) ** 2 + (x - centre) ** 2 < (side / 5.6) ** 2
        return (disc[:, :, None] * (noise * 2 + 80)).astype("uint8")
    return (ramp + noise).astype("uint8")


def randomise(torch, model):
    """Statistics as those of a trained network: of the layers' own values, so that these neither
    grow nor vanish on the way, and then some way off, so that no layer passes its input on."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        torch.nn.init.uniform_(norm.weight, 0.6, 1.4)
        torch.nn.init.normal_(norm.bias, 0, 0.2)
    with torch.no_grad():
        import numpy as np

        pixels = torch.from_numpy(np.stack([picture(128, seed) for seed in range(8)]))
        model.train()(normalised(torch, pixels.permute(0, 3, 1, 2).float()))
        for norm in norms:
            norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
            norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.3)
    return model.eval()


def normalised(torch, pixels, mean=MEAN, std=STD):
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (mean, std))
    return (pixels / 255 - mean) / std


def runner(torch, features, mean=MEAN, std=STD):
    def run(pixels):
        x = normalised(torch, torch.from_numpy(pixels).permute(2, 0, 1)[None], mean, std)
        with torch.no_grad():
            return [features(x).amax((2, 3)).numpy()]

    return run


def padded_as_tensorflow(torch, model):
    """`model` with every convolution's padding that of TensorFlow's "same"."""

    class Same(torch.nn.Conv2d):
        def forward(self, x):
            def pads(size, kernel, stride):
                total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
                return [total // 2, total - total // 2]

            height, width = x.shape[-2:]
            kernel, stride = self.kernel_size[0], self.stride[0]
            x = torch.nn.functional.pad(x, pads(width, kernel, stride) + pads(height, kernel, stride))
            return torch.nn.functional.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.__class__ = Same
    return model


def timm_cases(bench, torch):
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(1)
    model = randomise(torch, timm.create_model("tf_efficientnet_b3"))
    for name in ("tf_efficientnet_b3.safetensors", "tf_efficientnet_b3.pth", "tf_efficientnet_b3-half.safetensors"):
        path, state = bench.folder / name, model.state_dict()
        if name.endswith(".pth"):
            torch.save(state, path)
        elif "half" in name:
            state = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
            save_file(state, path)
            half = timm.create_model("tf_efficientnet_b3")
            half.load_state_dict({key: value.float() for key, value in state.items()})
            bench.compare(name, path, runner(torch, half.eval().forward_features))
            continue
        else:
            save_file(state, path)
        bench.compare(name, path, runner(torch, model.forward_features))

    # timm's own network: ε 1e-5. With TensorFlow's padding it is the same function.
    plain = randomise(torch, timm.create_model("efficientnet_b3"))
    path = bench.folder / "efficientnet_b3.safetensors"
    save_file(plain.state_dict(), path)
    even = timm.create_model("efficientnet_b3")
    even.load_state_dict(plain.state_dict())
    same = padded_as_tensorflow(torch, plain)
    bench.compare("efficientnet_b3 (ε 1e-5), padded as TensorFlow", path, runner(torch, same.forward_features))
    padding(bench, torch, even.eval(), path)

    # Other pixels, as the `ap` weights have them; only the deviation, which folds exactly.
    folder = bench.folder / "ap"
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    config = {"architecture": "tf_efficientnet_b3", "pretrained_cfg": {"mean": MEAN, "std": (0.5, 0.5, 0.5)}}
    (folder / "config.json").write_text(json.dumps(config))
    theirs = runner(torch, model.forward_features, std=(0.5, 0.5, 0.5))
    bench.compare("tf_efficientnet_b3 with another deviation", folder / "model.safetensors", theirs)
    # And with another mean: the border differs, so this is measured, not judged.
    config["pretrained_cfg"]["mean"] = (0.5, 0.5, 0.5)
    (folder / "config.json").write_text(json.dumps(config))
    theirs = runner(torch, model.forward_features, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    measure(bench, "another mean and deviation", folder / "model.safetensors", theirs)


def measure(bench, name, weights, theirs):
    import numpy as np

    for path, pixels in bench.pictures(SIDES):
        expected = np.asarray(theirs(pixels)[0]).ravel()
        found = np.asarray(bench.ours(weights, path)["ran"]["features"])
        delta, correlation = np.abs(expected - found), np.corrcoef(expected, found)[0, 1]
        print(
            f"     {name}, {pixels.shape[0]} px: mean |Δ| {delta.mean():.3f} of a deviation of "
            f"{expected.std():.3f}, correlation {correlation:.4f} (not judged)"
        )


def padding(bench, torch, even, path):
    """How far even padding is from ours, and that moving the picture by 31 pixels is the reason."""
    import numpy as np
    from PIL import Image

    measure(bench, "efficientnet_b3, even padding", path, runner(torch, even.forward_features))
    cell = picture(224, 7)
    for move in (0, 31):
        moved = np.roll(cell, (move, move), (0, 1))
        shown = bench.folder / f"cell-{move}.png"
        Image.fromarray(moved).save(shown)
        ours = np.asarray(bench.ours(path, shown)["ran"]["features"])
        theirs = np.asarray(runner(torch, even.forward_features)(cell.astype("float32"))[0]).ravel()
        print(
            f"     efficientnet_b3, even padding, a cell on black moved by {move} for ours: mean |Δ| "
            f"{np.abs(ours - theirs).mean():.4f} of a deviation of {theirs.std():.3f}, correlation "
            f"{np.corrcoef(ours, theirs)[0, 1]:.5f} (not judged)"
        )


def torchvision_cases(bench, torch):
    import torchvision
    from safetensors.torch import save_file

    torch.manual_seed(2)
    model = randomise(torch, torchvision.models.efficientnet_b3())
    save_file(model.state_dict(), bench.folder / "torchvision.safetensors")
    torch.save({"epoch": 3, "state_dict": model.state_dict()}, bench.folder / "torchvision.pth")
    same = padded_as_tensorflow(torch, model)
    for name in ("torchvision.safetensors", "torchvision.pth"):
        bench.compare(f"{name}, padded as TensorFlow", bench.folder / name, runner(torch, same.features))


def keras_cases(bench):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import h5py
    import keras
    import numpy as np

    keras.utils.set_random_seed(3)
    random = np.random.default_rng(3)

    def draw(model, pixels):
        """As `randomise`."""
        norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        for layer in model.layers:
            if isinstance(layer, keras.layers.Normalization):
                # Keras' own files hold the deviation where the variance belongs.
                values = [np.asarray(value, "float32") for value in (MEAN, STD)]
                layer.load_own_variables({"0": values[0], "1": values[1], "2": np.asarray(0)})
        for norm in norms:
            size = norm.gamma.shape
            norm.gamma.assign(random.uniform(0.6, 1.4, size))
            norm.beta.assign(random.normal(0, 0.2, size))
            norm.momentum = 0.0
        model(pixels, training=True)
        for norm in norms:
            norm.momentum = 0.99
            mean, variance = (keras.ops.convert_to_numpy(keras.ops.stop_gradient(value)) for value in
                              (norm.moving_mean, norm.moving_variance))
            norm.moving_mean.assign(mean + 0.1 * np.sqrt(variance) * random.normal(0, 1, mean.shape))
            norm.moving_variance.assign(variance * random.uniform(0.8, 1.3, mean.shape))

    def base(weights):
        return keras.applications.EfficientNetB3(
            include_top=False, weights=weights, input_shape=(None, None, 3), pooling="max"
        )

    drawn = np.stack([picture(128, seed) for seed in range(8)]).astype("float32")
    notop = bench.folder / "efficientnetb3_notop.h5"
    utilities = importlib.import_module(keras.applications.EfficientNetB3.__module__).file_utils

    def write_as_keras_2(model):
        """The layout of the published file, which Keras 2.4 wrote."""
        with h5py.File(notop, "w") as file:
            file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
            file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.4.0"
            for layer in model.layers:
                group = file.create_group(layer.name)
                names = []
                for variable in layer.weights:
                    kind = variable.name.split("/")[-1]
                    if isinstance(layer, keras.layers.DepthwiseConv2D):
                        kind = "depthwise_kernel"
                    names.append(f"{layer.name}/{kind}:0")
                    group[names[-1]] = keras.ops.convert_to_numpy(variable)
                group.attrs["weight_names"] = [name.encode() for name in names]

    def load_as_published():
        """Keras' own way to its published file, with ours in its place: adds the second rescaling."""
        fetch, utilities.get_file = utilities.get_file, lambda *_, **__: str(notop)
        try:
            return base("imagenet")
        finally:
            utilities.get_file = fetch

    source = base(None)
    draw(source, drawn)
    write_as_keras_2(source)
    # Its statistics are to be those of the pixels as it sees them.
    published = load_as_published()
    draw(published, drawn)
    write_as_keras_2(published)
    published = load_as_published()

    def run(model, features=None):
        def answer(pixels):
            # A model in training mode would use the batch's statistics.
            first = (features or model)(pixels[None], training=False)
            answers = [keras.ops.convert_to_numpy(keras.ops.stop_gradient(first))]
            if features is not None:
                probabilities = model(pixels[None], training=False)
                answers.append(np.log(keras.ops.convert_to_numpy(keras.ops.stop_gradient(probabilities))))
            return answers

        return answer

    bench.compare("Keras notop, as Keras loads it", notop, run(published), EVEN)
    for name, model in (("with the second rescaling", published), ("without", source)):
        path = bench.folder / f"base {name}.h5"
        model.save(path)
        bench.compare(f"Keras model.save, {name}", path, run(model), EVEN)

    full = keras.Sequential(
        [
            published,
            keras.layers.BatchNormalization(axis=-1, momentum=0.99, epsilon=0.001),
            keras.layers.Dense(256, activation="relu", kernel_regularizer=keras.regularizers.l2(0.016)),
            keras.layers.Dropout(0.45),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    full.build((None, None, None, 3))
    draw(full, drawn)
    # A softmax at 0 and 1 would say nothing of its logits.
    full.layers[4].set_weights([full.layers[4].get_weights()[0] * 0.3, np.asarray([0.3, -0.2])])
    path = bench.folder / "full.h5"
    full.save(path)
    answer = run(full, published)

    class Logits(Bench):
        """A softmax gives the logits up to a constant."""

        def ours(self, weights, picture):
            found = super().ours(weights, picture)
            logits = np.asarray(found["ran"]["logits"])
            found["ran"]["logits"] = logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())
            return found

    logits = Logits(bench.binary, bench.folder)
    logits.compare("the seed's full Keras model", path, answer, EVEN)
    bench.failures += logits.failures


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", required=True, help="leukd-train")
    arguments.add_argument("--require", default="", help="fail where one of these is not installed")
    options = arguments.parse_args()
    required = {name for name in options.require.split(",") if name}
    missing = set()

    def here(*names):
        for name in names:
            try:
                importlib.import_module(name)
            except Exception as error:  # A broken installation raises whatever it likes.
                print(f"skipped: {name} cannot be imported: {error}")
                missing.add(name)
                return False
        return True

    os.environ.setdefault("KERAS_BACKEND", "torch")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.binary, Path(folder))
        if here("numpy", "PIL", "safetensors", "torch"):
            import torch

            torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
            if here("timm"):
                timm_cases(bench, torch)
            if here("torchvision"):
                torchvision_cases(bench, torch)
            if here("h5py", "keras"):
                keras_cases(bench)
        if missing & required:
            sys.exit(f"not installed: {', '.join(sorted(missing & required))}")
        if bench.failures:
            sys.exit(f"max |Δ| above {MOST}: {', '.join(sorted(set(bench.failures)))}")


if __name__ == "__main__":
    main()
