"""Starts llama.cpp's own HTTP server on a model of random weights, prints its base URL, and stops when
standard input ends.

The output of the model is random; only the grammar that the server derives from the JSON schema of a request
makes it an answer. Tokens are single characters, so that any ASCII text can be a prompt. Used by the tests of
`real_model_servers`; needs the packages `gguf`, `numpy` and `xllamacpp`.
"""

import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

WIDTH, HEADS, LAYERS, HIDDEN, CONTEXT = 32, 2, 1, 64, 32_768
SPECIAL = ["<unk>", "<s>", "</s>"]


def write_model(path):
    """Writes a model of the architecture `llama`, a few hundred kilobytes large."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    tokens = SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    # The model must not write bytes that are not valid UTF-8 on their own.
    kinds += [gguf.TokenType.BYTE] * 128 + [gguf.TokenType.UNUSED] * 128
    tokens += [chr(code) for code in range(33, 127)] + ["\u2581"]
    kinds += [gguf.TokenType.NORMAL] * 95
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    random = np.random.default_rng(1)

    def add(name, *shape):
        writer.add_tensor(name, random.normal(0, 0.05, shape).astype(np.float32))

    add("token_embd.weight", len(tokens), WIDTH)
    add("output.weight", len(tokens), WIDTH)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(LAYERS):
        for name in ["attn_q", "attn_k", "attn_v", "attn_output"]:
            add(f"blk.{layer}.{name}.weight", WIDTH, WIDTH)
        add(f"blk.{layer}.ffn_gate.weight", HIDDEN, WIDTH)
        add(f"blk.{layer}.ffn_up.weight", HIDDEN, WIDTH)
        add(f"blk.{layer}.ffn_down.weight", WIDTH, HIDDEN)
        for name in ["attn_norm", "ffn_norm"]:
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "random.gguf"
        write_model(model)
        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.model_alias = {"random-weights"}
        params.n_ctx = CONTEXT
        params.n_parallel = 2
        params.cpuparams.n_threads = 1
        params.warmup = False
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        server = xllamacpp.Server(params)
        print(f"{server.listening_address}/v1", flush=True)
        sys.stdin.read()


main()
