"""One engine in a process of its own, which answers the lines that `leukd bench --serve-rounds` answers.

`round N` runs N cells one after the other on one core and answers with the milliseconds a cell; `outputs` answers with
each cell's probabilities, or `null` where the engine has other weights.
"""

import json
import os
import sys
import time

import numpy


def onnxruntime(model: str, inputs: numpy.ndarray, threads: int):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A pool that spins after its run would take time from whoever has the next turn.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda cell: session.run(None, {name: cell})[0], True


def openvino(model: str, inputs: numpy.ndarray, threads: int):
    import openvino as ov

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # Where there is bfloat16 it would be taken by itself.
        "INFERENCE_PRECISION_HINT": "f32",
        # Two processes side by side would both be pinned to the first core.
        "ENABLE_CPU_PINNING": False,
    }
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda cell: request.infer([cell])[0], True


def tensorflow(model: str, inputs: numpy.ndarray, threads: int):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    size = inputs.shape[-1]
    layers = tf.keras.layers
    body = tf.keras.applications.EfficientNetB3(
        weights=None, include_top=False, input_shape=(size, size, 3), pooling="max"
    )
    head = layers.Dense(2)(layers.Dense(256, activation="relu")(layers.BatchNormalization()(body.output)))
    network = tf.keras.Model(body.input, head)
    run = tf.function(lambda cell: network(cell, training=False))
    # Random weights: the time is the same, the answers are not.
    return lambda cell: run(numpy.ascontiguousarray(cell.transpose(0, 2, 3, 1))).numpy(), False


ENGINES = {"onnxruntime": onnxruntime, "openvino": openvino, "tensorflow": tensorflow}


def softmax(logits: numpy.ndarray, temperature: float) -> list[float]:
    powers = numpy.exp((logits - logits.max()) / temperature)
    return (powers / powers.sum()).tolist()


def main(engine: str, model: str, inputs_file: str, threads: str, temperature: str) -> None:
    # Everything but answers goes to standard error, whatever a library prints.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    inputs = numpy.load(inputs_file)
    cells = [inputs[at : at + 1] for at in range(len(inputs))]
    run, same_weights = ENGINES[engine](model, inputs, int(threads))
    for cell in cells[:3]:
        run(cell)
    print("ready", file=answers)
    for line in sys.stdin:
        word, _, count = line.strip().partition(" ")
        if word == "outputs":
            known = [softmax(numpy.asarray(run(cell), "f8")[0], float(temperature)) for cell in cells]
            print(json.dumps(known if same_weights else None), file=answers)
        else:
            started = time.perf_counter()
            for at in range(int(count)):
                run(cells[at % len(cells)])
            print((time.perf_counter() - started) * 1e3 / int(count), file=answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
