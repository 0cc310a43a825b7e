"""Every path that computes works with the network, the images and the statistics on an accelerator.

There need not be one: ``tests/fake_cuda.py`` pretends. A public function that takes a network, tensors or images is
missing from PATHS until it has a path. ``tests/training/test_devices.py`` has the recipes.
"""

import copy
import inspect
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import archzoo
from archzoo import (
    comparison,
    data,
    estimate,
    exporting,
    grading,
    inference,
    layers,
    profiler,
    training,
    transfer,
    weights,
    wrappers,
)
from archzoo.models import dsn, fractalnet, vgg
from archzoo.report import diagram, figures, tables
from archzoo.training._logs import no_log
from tests.fake_cuda import CPU
from tests.machines import SHORT, Machine, devices_of, outcome, same_on_both
from tests.networks import CLASSES, build, images, parametrize
from tests.test_layout import PUBLIC

Computes = Callable[[Machine], Any]
SMALL = {"in_channels": 1, "num_classes": 10}


def logits(net: nn.Module, machine: Machine, *shape: int) -> Tensor:
    with torch.no_grad():
        return net.eval()(machine.tensor(*(shape or (2, 1, 32, 32))))


def dense_net(machine: Machine, **options: Any) -> layers.Net:
    return machine.net("densenet_bc", depth=16, k=4, **SMALL, **options)


def vgg_layers(machine: Machine) -> layers.Net:
    """The layers that a deeper VGG takes from a shallower one, of two units each."""
    parts: dict[str, nn.Module] = {"features": nn.Module(), "classifier": nn.Module()}
    for name in vgg.FROM_A:
        part, _, layer = name.partition(".")
        parts[part].add_module(layer, nn.Linear(2, 2))
    return layers.Net(parts["features"], parts["classifier"]).to(machine.device)


def initialized(initialize: Callable[[nn.Module], None], layer: nn.Module | None = None) -> Computes:
    def path(machine: Machine) -> Any:
        torch.manual_seed(0)
        placed = copy.deepcopy(layer or nn.Conv2d(3, 4, 3)).to(machine.device)
        initialize(placed)
        return placed.state_dict()

    return path


def first_three(machine: Machine) -> data.Images:
    return machine.images().take(torch.arange(3))


def pixels(machine: Machine) -> Tensor:
    return machine.tensor(3, 40, 48)


def exported(machine: Machine) -> Any:
    net = machine.net()
    error = exporting.export(net, machine.folder / "net.pt2", "pt2", (1, 32, 32))
    program = torch.export.load(machine.folder / "net.pt2").module()
    assert devices_of(net) == {machine.device}
    assert error < 1e-6
    return program(machine.tensor(3, 1, 32, 32).cpu())  # the file runs on any machine


def copied_layers(machine: Machine) -> Tensor:
    net = machine.net()
    layers.copy_layers(net, machine.net().cpu().state_dict(), ["classifier.output"])
    return logits(net, machine)


def initialized_from(machine: Machine) -> Tensor:
    file = machine.folder / "net.safetensors"
    weights.save(machine.net(), file, "lenet5_textbook")
    weights.initialize_from(net := machine.net(), file)
    return logits(net, machine)


def saved(machine: Machine) -> Any:
    file = machine.folder / "net.safetensors"
    weights.save(machine.net(), file, "lenet5_textbook")
    weights.save(machine.net(), machine.folder / "net.pth", "lenet5_textbook")
    state = torch.load(machine.folder / "net.pth", weights_only=True)
    assert {tensor.device for tensor in state.values()} == {CPU}  # a machine without an accelerator reads it too
    loaded = archzoo.load(file).to(machine.device)
    built = archzoo.build("lenet5_textbook", weights=file, device=machine.device)
    return logits(loaded, machine), logits(built, machine)


def drawn(machine: Machine) -> bytes:
    file = machine.folder / "grid.png"
    transfer.draw_predictions(machine.net(), machine.images(), machine.prepared(), file, rows=1, columns=4)
    return file.read_bytes()


def figure(draw: Callable[[Machine], Any]) -> Computes:
    return lambda machine: figures.save(draw(machine), machine.folder / "figure.png")


def fine_tuned(machine: Machine) -> Any:
    net = machine.net()
    settings: Any = {"head_epochs": 1, "decay": 0.5, "log": no_log}
    result = transfer.fine_tune(net, machine.splits(), machine.prepared(), SHORT, machine.folder / "run", **settings)
    assert devices_of(net) == {machine.device}
    return outcome(result)


def probed(machine: Machine) -> Any:
    net = machine.net()
    result = transfer.linear_probe(net, machine.splits(), machine.prepared(), SHORT, machine.folder / "run", log=no_log)
    assert devices_of(net) == {machine.device}
    return outcome(result)


def run_of(machine: Machine, name: str) -> dict[str, Any]:
    """A run on a folder of images: two classes of ten images each."""
    for number in range(20):
        file = machine.folder / "photos" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((32, 32)).rotate(90 * number).save(file)
    run = {"recipe": "digits", "changes": {"batch_size": 4, "epochs": 1}, "options": {"in_channels": 1}, "log": no_log}
    return {**run, "data": machine.folder / "photos", "run_dir": machine.folder / name, "device": machine.device.type}


def run_by_name(machine: Machine) -> Any:
    """Images come from the CPU here, prepared by another process, and are on the device where ``Machine`` has them."""
    config = training.RunConfig(workers=1)
    result = training.run("lenet5_textbook", config=config, **run_of(machine, "run"))
    assert devices_of(result.net) == {machine.device}
    return outcome(result)


def tuned_by_name(machine: Machine) -> Any:
    """Both forms, each with its grid of predictions."""
    file = machine.folder / "net.safetensors"
    weights.save(machine.net(), file, "lenet5_textbook")
    tuned, probed = (
        transfer.run("lenet5_textbook", weights=file, freeze=freeze, **run_of(machine, str(freeze)))
        for freeze in (False, True)
    )
    grids = [(machine.folder / str(freeze) / "predictions.png").read_bytes() for freeze in (False, True)]
    return outcome(tuned), outcome(probed), grids


def features_of_a_folder(machine: Machine) -> Any:
    from safetensors.torch import load_file

    Image.linear_gradient("L").resize((40, 32)).save(machine.folder / "a.png")
    file = machine.folder / "features.safetensors"
    transfer.extract_features(machine.net(), machine.folder, file, size=(1, 32, 32), mean=[0.5], std=[0.5])
    return load_file(file)


def captured(machine: Machine) -> Any:
    with transfer.capture(net := machine.net(), ["features"]) as maps:
        logits(net, machine)
    return maps


def frozen(machine: Machine) -> Any:
    net = dense_net(machine)
    with transfer.frozen(net, "features"):
        net.train()(machine.tensor(2, 1, 32, 32)).sum().backward()
    return net.state_dict(), [parameter.grad for parameter in net.parameters() if parameter.grad is not None]


def replaced(machine: Machine) -> Tensor:
    net = machine.net()
    transfer.replace_classifier(net, 3)
    return logits(net, machine)


def grouped(machine: Machine) -> Any:
    groups = transfer.parameter_groups(machine.net(), 0.1, 0.5)
    torch.optim.SGD(groups, lr=0.1).step()
    return [group["lr"] for group in groups]


def cropped(machine: Machine) -> Any:
    prepared = machine.prepared()
    loaded = data.load_crops(machine.images(), [torch.arange(4)], lambda images: [prepared.center_crop(images)])
    return [(list(crops), labels) for crops, labels in loaded]


PATHS: dict[str, Computes] = {
    "archzoo.build": lambda machine: devices_of(archzoo.build("resnet20", device=machine.device)) == {machine.device},
    "archzoo.profile": lambda machine: archzoo.profile(dense_net(machine), (1, 32, 32)).macs,
    "archzoo.same": lambda machine: archzoo.same(machine.net(), machine.net(), (1, 32, 32)).verdict,
    "archzoo.comparison.compare": lambda machine: comparison.compare(machine.net(), machine.net(), (1, 32, 32)).verdict,
    "archzoo.comparison.read": lambda machine: devices_of(comparison.read(machine.net()).module) == {machine.device},
    "archzoo.comparison.same": lambda machine: comparison.same(machine.net(), machine.net(), (1, 32, 32)).verdict,
    "archzoo.data.augmented_views": lambda machine: data.augmented_views(
        SHORT.augmentation, SHORT.preprocessing, machine.images(), 32, [0, 3], epochs=2
    ),
    "archzoo.data.center_crop": lambda machine: data.center_crop(pixels(machine), 32, 32),
    "archzoo.data.check_batch_size": lambda machine: data.check_batch_size(4, machine.images(), 1),
    "archzoo.data.load_batches": lambda machine: [
        (batch.images, batch.labels)
        for batch in data.load_batches(data.EpochBatches(machine.images(), machine.prepared().train, 4, 0, 0))
    ],
    "archzoo.data.multi_crop_144": lambda machine: data.multi_crop_144(pixels(machine), 28, (32, 36, 40, 44)),
    "archzoo.data.prepare": lambda machine: machine.prepared().center_crop(first_three(machine)),
    "archzoo.data.resize_shorter_side": lambda machine: data.resize_shorter_side(pixels(machine), 20),
    "archzoo.data.describe_prepared": lambda machine: data.restore_prepared(
        data.describe_prepared(machine.prepared(), SHORT.preprocessing, machine.images())
    ).center_crop(data.stack(machine.images().take(torch.arange(3))).cpu()),
    "archzoo.data.describe": lambda machine: data.describe(
        data.Splits(machine.images(), machine.images(), machine.images())
    ),
    "archzoo.data.fit_size": lambda machine: data.fit_size(pixels(machine)[None], (20, 24)),
    "archzoo.data.sample_per_class": lambda machine: data.sample_per_class(machine.images(), 1, 0).digest(),
    "archzoo.data.split": lambda machine: data.split(machine.images(), machine.images(), 0.5, 0).train.digest(),
    "archzoo.data.stack": lambda machine: data.stack([pixels(machine), pixels(machine)]),
    "archzoo.data.take_crops": lambda machine: data.take_crops(
        machine.images(), torch.arange(4), lambda images: [machine.prepared().center_crop(images)]
    ),
    "archzoo.data.load_crops": cropped,
    "archzoo.data.why_not_resident": lambda machine: data.why_not_resident(
        machine.images(), machine.prepared().train, machine.device
    ),
    "archzoo.data.ten_crops": lambda machine: data.ten_crops(pixels(machine), 32),
    "archzoo.profiler.active_share": lambda machine: profiler.active_share(
        (net := machine.net("fractalnet", columns=2, widths=(4, 4))), archzoo.profile(net, (3, 4, 4)), draws=20
    ),
    "archzoo.estimate.largest_batch": lambda machine: estimate.largest_batch(machine.net(), (1, 32, 32), 2**22),
    "archzoo.exporting.export": exported,
    "archzoo.inference.condense": lambda machine: logits(
        inference.condense(machine.net("condensenet_cifar", **SMALL, depth=8, form="training"), prune=True), machine
    ),
    "archzoo.inference.fold_batch_norms": lambda machine: logits(
        inference.fold_batch_norms(dense_net(machine)), machine
    ),
    "archzoo.inference.optimize": lambda machine: logits(inference.optimize(dense_net(machine)), machine),
    "archzoo.grading.grade_module": lambda machine: grading.grade_module(machine.net(), "lenet5_textbook").points,
    "archzoo.layers.copy_layers": copied_layers,
    "archzoo.layers.checked_device": lambda machine: layers.checked_device("meta").type == "meta",
    "archzoo.layers.device_of": lambda machine: layers.device_of(machine.net()) == machine.device,
    "archzoo.layers.evaluation_mode": lambda machine: layers.evaluation_mode(machine.net()).__enter__(),
    "archzoo.layers.gaussian_by_inputs": initialized(layers.gaussian_by_inputs),
    "archzoo.layers.glorot_uniform": initialized(layers.glorot_uniform),
    "archzoo.layers.he_normal_fan_in": initialized(layers.he_normal_fan_in),
    "archzoo.layers.he_normal_fan_out": initialized(layers.he_normal_fan_out),
    "archzoo.layers.sequence": lambda machine: logits(layers.sequence(relu=nn.ReLU().to(machine.device)), machine),
    "archzoo.layers.uniform_scale": initialized(layers.uniform_scale, nn.BatchNorm2d(4)),
    "archzoo.wrappers.unwrapped": lambda machine: devices_of(wrappers.unwrapped(machine.net())) == {machine.device},
    "archzoo.layers.variance_scaling": initialized(layers.variance_scaling),
    "archzoo.layers.xavier_fan_in": initialized(layers.xavier_fan_in),
    "archzoo.models.fractalnet.plain_column": lambda machine: logits(
        fractalnet.plain_column(machine.net("fractalnet", columns=2, widths=(4, 4)), 2), machine, 2, 3, 4, 4
    ),
    "archzoo.models.dsn.without_companions": lambda machine: (
        devices_of(dsn.without_companions(machine.net("dsn_companions"))) == {machine.device}
    ),
    "archzoo.layers.without_auxiliary": lambda machine: (
        devices_of(layers.without_auxiliary(machine.net("googlenet", auxiliary=True))) == {machine.device}
    ),
    "archzoo.models.vgg.init_from": lambda machine: vgg.init_from(vgg_layers(machine), vgg_layers(machine)),
    "archzoo.profiler.compare": lambda machine: str(profiler.compare(machine.net(), machine.net(), (1, 32, 32))),
    "archzoo.profiler.compare_shapes": lambda machine: str(
        profiler.compare_shapes(machine.net(), {"a": (1, 2)}, ("net", "file"))
    ),
    "archzoo.profiler.fits": lambda machine: str(
        profiler.fits(machine.net(), (1, 32, 32), "1GiB", batch=2, device="cpu", savings=False)
    ),
    "archzoo.profiler.measure": lambda machine: profiler.measure(machine.net(), (1, 32, 32), passes=1) > 0,
    "archzoo.profiler.traffic": lambda machine: profiler.traffic(dense_net(machine), (1, 32, 32)).read,
    "archzoo.profiler.memory": lambda machine: profiler.memory(dense_net(machine), (1, 32, 32), batch=2).training,
    "archzoo.profiler.profile": lambda machine: profiler.profile(dense_net(machine), machine.tensor(2, 1, 32, 32)).macs,
    "archzoo.profiler.scalar_loss": lambda machine: profiler.scalar_loss(machine.tensor(2, 3)),
    "archzoo.profiler.storage_bytes": lambda machine: profiler.storage_bytes(machine.net().parameters()),
    "archzoo.report.diagram.architecture": lambda machine: str(diagram.architecture(machine.net(), (1, 32, 32))),
    "archzoo.report.diagram.diagram": lambda machine: diagram.diagram(machine.net(), (1, 32, 32)),
    "archzoo.report.figures.augmentation": figure(
        lambda machine: figures.augmentation(SHORT, machine.images(), side=32, pictures=2, epochs=1)
    ),
    "archzoo.report.figures.derivative": lambda machine: figures.derivative(torch.tanh, machine.tensor(3)),
    "archzoo.report.figures.feature_reuse_map": figure(
        lambda machine: figures.feature_reuse_map({"block": machine.tensor(3, 3)})
    ),
    "archzoo.report.figures.first_filters": figure(lambda machine: figures.first_filters(machine.net())),
    "archzoo.report.figures.newton_path": lambda machine: figures.newton_path(
        lambda point: point.square().sum(), (1.0, 2.0), 2
    ),
    "archzoo.report.figures.path": lambda machine: figures.path(
        lambda points: torch.optim.SGD(points, lr=0.1), lambda point: point.square().sum(), (1.0, 2.0), 3
    ),
    "archzoo.report.figures.predictions": figure(
        lambda machine: figures.predictions(machine.tensor(2, 1, 8, 8), [0, 1], [1, 1], ["a", "b"])
    ),
    "archzoo.report.tables.write_worksheet": lambda machine: tables.write_worksheet(
        (net := machine.net()), archzoo.profile(net), "csv", key=True
    ),
    "archzoo.report.tables.torchinfo_summary": lambda machine: tables.torchinfo_summary(machine.net(), (1, 32, 32)),
    "archzoo.training.check_groups": lambda machine: training.check_groups(machine.net(), ()),
    "archzoo.training.describe_training": lambda machine: str(
        training.describe_training(machine.prepared(), SHORT, machine.images())
    ),
    "archzoo.training.match_classes": lambda machine: training.match_classes(machine.images(), [*"jihgfedcba"]).labels,
    "archzoo.training.evaluate": lambda machine: (
        training.evaluate([machine.net(), machine.net()], machine.images(), machine.prepared(), batch_size=5).loss
    ),
    "archzoo.training.predict": lambda machine: training.predict(
        [machine.net()], first_three(machine), machine.prepared(), training.single_crop, machine.device
    ),
    "archzoo.training.prefers_channels_last": lambda machine: training.prefers_channels_last(
        machine.device, "bfloat16"
    ),
    "archzoo.training.run": run_by_name,
    "archzoo.training.single_crop": lambda machine: list(
        training.single_crop(first_three(machine), machine.prepared())
    ),
    "archzoo.profiler.skips_modules": lambda machine: profiler.skips_modules(machine.net()),
    "archzoo.training.train": lambda machine: outcome(machine.train()),
    "archzoo.transfer.capture": captured,
    "archzoo.transfer.draw_predictions": drawn,
    "archzoo.transfer.extract_features": features_of_a_folder,
    "archzoo.transfer.feature_maps": lambda machine: transfer.feature_maps(
        machine.net(), machine.tensor(2, 1, 32, 32), ["features"]
    ),
    "archzoo.transfer.feature_reuse": lambda machine: transfer.feature_reuse(dense_net(machine)),
    "archzoo.transfer.fine_tune": fine_tuned,
    "archzoo.transfer.freeze": lambda machine: transfer.freeze(machine.net(), "features"),
    "archzoo.transfer.frozen": frozen,
    "archzoo.transfer.linear_probe": probed,
    "archzoo.transfer.parameter_groups": grouped,
    "archzoo.transfer.predictions": lambda machine: transfer.predictions(
        machine.net(), machine.images(), machine.prepared()
    ),
    "archzoo.transfer.replace_classifier": replaced,
    "archzoo.transfer.run": tuned_by_name,
    "archzoo.transfer.unfreeze": lambda machine: transfer.unfreeze(machine.net(), "features"),
    "archzoo.weights.initialize_from": initialized_from,
    "archzoo.weights.save": saved,
}
# The network goes to another machine through a file, which is ``archzoo.weights.save``.
WITHOUT_PATH = {"archzoo.restoring.copy_to_run", "archzoo.weights.push", "archzoo.weights.save_with"}


def figures_of_a_run(machine: Machine) -> None:
    result = machine.train(net=dense_net(machine))
    figures.training_curves({"run": result.history})
    figures.first_filters(result.net)
    figures.feature_reuse_map(transfer.feature_reuse(result.net))
    seen = data.stack(machine.images().take(torch.arange(4)))
    guesses = transfer.predictions(result.net, machine.images().subset(torch.arange(4)), machine.prepared()).argmax(1)
    figures.predictions(seen, [0, 1, 2, 3], guesses.tolist(), list("abcdefghij"))


@pytest.mark.slow
def test_figures_of_a_run_are_drawn(tmp_path: Path) -> None:
    same_on_both(figures_of_a_run, tmp_path)


FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "contiguous": {"memory_format": torch.contiguous_format},
    "bfloat16": {"dtype": torch.bfloat16},
    "frozen graphs": {"compile": "freeze"},
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:this processor has no bfloat16 instructions")
@pytest.mark.parametrize("form", FORMS)
def test_an_optimized_network_runs(form: str, tmp_path: Path) -> None:
    def path(machine: Machine) -> Tensor:
        return logits(inference.optimize(dense_net(machine), **FORMS[form]), machine).float()

    same_on_both(path, tmp_path, tolerance=2e-2)


@pytest.mark.slow
def test_an_optimized_network_follows_its_images_to_another_device(tmp_path: Path) -> None:
    """Frozen graphs have the parameters of the device that they were traced on."""

    def path(machine: Machine) -> Tensor:
        net = inference.optimize(dense_net(Machine(CPU, machine.folder)), compile="freeze")
        logits(net, Machine(CPU, machine.folder))
        return logits(net.to(machine.device), machine)

    same_on_both(path, tmp_path)


@pytest.mark.slow
@parametrize([name for name in CLASSES if name != "alexnet"])  # large, and with the layers of others
def test_every_layer_computes_forward_and_backward(name: str, tmp_path: Path) -> None:
    batch = images(name, 2)

    def path(machine: Machine) -> Any:
        net = build(name).to(machine.device).train()
        outputs = net(batch.to(machine.device))
        torch.cat([outputs] if isinstance(outputs, Tensor) else list(outputs)).sum().backward()
        optimized = inference.optimize(net)
        with torch.no_grad():
            return optimized(batch.to(machine.device)), [parameter.grad for parameter in net.parameters()]

    same_on_both(path, tmp_path, tolerance=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("name", PATHS)
def test_every_path_works_on_an_accelerator_and_computes_the_same(name: str, tmp_path: Path) -> None:
    same_on_both(PATHS[name], tmp_path)


HOLD_TENSORS = re.compile(r"\b(Tensor|Module|Net|ImageSet|Splits|Prepared|EpochBatches)\b")
MODELS = {f"archzoo.models.{path.stem}" for path in Path(archzoo.__file__).with_name("models").glob("[!_]*.py")}


def takes_tensors(function: Any, kinds: re.Pattern[str]) -> bool:
    parameters = inspect.signature(function).parameters
    annotations = [inspect.formatannotation(parameter.annotation) for parameter in parameters.values()]
    return "device" in parameters or any(map(kinds.search, annotations))


def public_functions(module_name: str) -> dict[str, Any]:
    """Those of a module, by the name that a user imports."""
    module = import_module(module_name)
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module_name]
    public = {name: getattr(module, name) for name in getattr(module, "__all__", own) if not name.startswith("_")}
    return {f"{module_name}.{name}": value for name, value in public.items() if inspect.isfunction(value)}


def test_every_public_function_that_takes_tensors_has_a_path() -> None:
    takers = set()
    for module in PUBLIC | MODELS:
        kinds = re.compile(r"\bNet\b") if module in MODELS else HOLD_TENSORS  # the parts of a network run in it
        takers |= {name for name, function in public_functions(module).items() if takes_tensors(function, kinds)}
    assert takers <= PATHS.keys() | WITHOUT_PATH


def test_every_path_is_of_a_public_function() -> None:
    for name in PATHS:
        module, _, function = name.rpartition(".")
        assert hasattr(import_module(module), function)
