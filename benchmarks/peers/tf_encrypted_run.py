# SPDX-License-Identifier: MIT
"""tf-encrypted 0.9.1, ABY3: three servers of TensorFlow over gRPC, and this client of theirs.

It needs no dealer and counts nothing itself.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
from collections import OrderedDict

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import serving
import works

SERVERS = 3


def network(prot, name, x, given):
    for i, layer in enumerate(works.NETWORKS[name]):
        if layer == "flatten":
            x = prot.reshape(x, [int(x.shape[0]), int(np.prod(x.shape[1:]))])
        elif layer == "relu":
            x = prot.relu(x)
        elif layer == "pool":
            x = prot.avgpool2d(x, (2, 2), (2, 2), "VALID")
        elif len(layer) == 2:
            x = prot.matmul(x, given[f"weight{i}"]) + given[f"bias{i}"]
        else:
            x = prot.conv2d(x, given[f"weight{i}"], (1, 1), "VALID") + given[f"bias{i}"]
    return x


KINDS = {
    "matmul": lambda prot, x, w: prot.matmul(x, w),
    "relu": lambda prot, x: prot.relu(x),
    "sigmoid": lambda prot, x: prot.sigmoid(x),
    "exp": lambda prot, x: prot.exp(x),
    "x > 0": lambda prot, x: prot.greater_than(x, 0),
    "max": lambda prot, x: prot.reduce_max(x, axis=1),
    "argmax": lambda prot, x: prot.argmax(x, axis=1, output_style="value"),
    "softmax": lambda prot, x: prot.softmax(x),
    **{
        f"network {name}": lambda prot, x, name=name, **given: network(prot, name, x, given)
        for name in works.NETWORKS
    },
}


def prepared(arrays):
    """In the order of axes that TensorFlow's layers have."""
    turned = {}
    for name, array in arrays.items():
        if name.startswith("weight"):
            array = array.T if array.ndim == 2 else array.transpose(2, 3, 1, 0)
        elif name.startswith("bias"):
            conv = arrays[name.replace("bias", "weight")].ndim == 4
            array = array.reshape(-1, 1, 1) if conv else array
        turned[name] = np.ascontiguousarray(array)
    return turned


def serve_player(index, hosts):
    import tensorflow as tf
    import tf_encrypted  # noqa: F401  its operations run in the servers

    settings = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )
    cluster = tf.train.ClusterSpec({"tfe": hosts})
    # A server that nobody waits for would outlive the program.
    server = tf.distribute.Server(cluster, job_name="tfe", task_index=index, config=settings)
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    del server
    os._exit(0)


def open_party(rank, ports):
    import tf_encrypted as tfe
    from tensorflow.python.eager import context

    hosts = [f"127.0.0.1:{port}" for port in serving._free_ports(SERVERS)]
    spawning = multiprocessing.get_context("spawn")
    for index in range(SERVERS):
        spawning.Process(target=serve_player, args=(index, hosts), daemon=True).start()
    config = tfe.RemoteConfig(OrderedDict((f"server{i}", host) for i, host in enumerate(hosts)))
    config.connect_servers()
    tfe.set_config(config)
    prot = tfe.protocol.ABY3()
    tfe.set_protocol(prot)

    def prepare(kind, arrays):
        given = {n: tfe.define_private_variable(a) for n, a in prepared(arrays).items()}

        @tfe.function
        def work():
            return KINDS[kind](prot, **given)

        outcome = []

        def run():
            outcome[:] = [work()]
            # The servers compute on after the call has returned.
            context.async_wait()

        return run, lambda: outcome[0].reveal().to_native().numpy(), dict

    return prepare


if __name__ == "__main__":
    serving.serve(KINDS, open_party, parties=1)
