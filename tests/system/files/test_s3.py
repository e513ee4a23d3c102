"""S3 by a server that speaks its protocol, behind a proxy that drops, delays and refuses."""

import io
import json
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from conftest import saved, scene
from PIL import Image
from unsteady import Unsteady

pytest.importorskip("s3fs", reason="needs s3fs")
moto = pytest.importorskip("moto.server", reason="needs moto[server]")
pytestmark = pytest.mark.slow

SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"
COUNT = 30


@pytest.fixture(scope="module")
def server():
    started = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    yield started.get_host_and_port()[1]
    started.stop()


@pytest.fixture
def bucket(server):
    import boto3

    client = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{server}", region_name="us-east-1",
        aws_access_key_id="KEY", aws_secret_access_key=SECRET,
    )  # fmt: skip
    client.create_bucket(Bucket="scans")
    for i in range(COUNT):
        data = saved(Image.fromarray(scene(i, 320, 240)).convert("L"), "JPEG")
        client.put_object(Bucket="scans", Key=f"in/{i % 3}/{i:02d}.jpg", Body=data)
    yield client
    for key in keys(client):
        client.delete_object(Bucket="scans", Key=key)
    client.delete_bucket(Bucket="scans")


def keys(client, prefix=""):
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="scans", Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


def body(client, key):
    return client.get_object(Bucket="scans", Key=key)["Body"].read()


def run(command, url, *arguments, secret=SECRET):
    given = {
        "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "colorcli", *command.split(), *map(str, arguments)],
        capture_output=True, env={**os.environ, **given}, timeout=230,
    )  # fmt: skip
    assert SECRET.encode() not in done.stdout + done.stderr
    return done


def test_nothing_is_lost_and_nothing_is_half_written(server, bucket, small_model):
    proxy = Unsteady(server)
    try:
        done = run("predict -r --json", proxy.url, "s3://scans/in", "-o", "s3://scans/out/",
                   "-m", small_model, "--workers", "2")  # fmt: skip
    finally:
        proxy.close()
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert Counter(entry["status"] for entry in told) == {"done": COUNT}
    assert sorted(entry["output"] for entry in told) == [
        f"s3://scans/{key}" for key in sorted(keys(bucket, "out/"))
    ]
    for key in keys(bucket, "out/"):
        picture = Image.open(io.BytesIO(body(bucket, key)))
        picture.load()
        assert picture.mode == "RGB" and picture.size == (320, 240)
    assert sum(proxy.done[fault] for fault in Unsteady.FAULTS) > COUNT / 2  # it did misbehave
    assert set(Unsteady.FAULTS) <= {*proxy.done}


def test_a_second_run_lists_and_fetches_nothing(server, bucket, small_model, tmp_path):
    arguments = ("s3://scans/in", "-o", "s3://scans/out/", "-m", small_model)
    proxy = Unsteady(server, rate=0, delay=0)
    try:
        assert run("predict -r", proxy.url, *arguments).returncode == 0
        written = {key: body(bucket, key) for key in keys(bucket, "out/")}
        proxy.methods.clear()
        done = run("predict -r --skip-existing --json", proxy.url, *arguments)
        statuses = Counter(json.loads(line)["status"] for line in done.stdout.splitlines())
        assert statuses == {"skipped": COUNT}
        assert proxy.methods.total() < COUNT and not proxy.methods["PUT"]
        refused = run("predict -r", proxy.url, *arguments)
        assert refused.returncode == 2 and b"exists already" in refused.stderr
        here = run("predict -r", proxy.url, "s3://scans/in", "-o", tmp_path, "-m", small_model)
    finally:
        proxy.close()
    assert here.returncode == 0
    assert {f"out/{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*.jpg")} == {*written}
    for key, data in written.items():  # the network's last bits hang on where its arrays lie
        there = np.asarray(Image.open(io.BytesIO(data))).astype(int)
        local = np.asarray(Image.open(tmp_path / key.removeprefix("out/")))
        assert np.abs(there - local).max() <= 4, key


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["s3://nobucket/in", "-o", "o/"], 3, "no such file"),
        (["s3://scans/in/0/00.jpg", "-o", "s3://nobucket/out/"], 3, "s3://nobucket/out/00.jpg"),
        ([f"s3://KEY:{SECRET}@scans/in", "-o", "o/"], 3, "driver's own way"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_without_a_secret(
    server, bucket, small_model, arguments, code, words
):
    url = f"http://127.0.0.1:{server}"
    done = run("predict", url, *arguments, "-m", small_model)
    assert done.returncode == code and words in done.stderr.decode(), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_data_is_prepared_and_judged_from_a_store(server, bucket, small_model, tmp_path):
    for i in range(COUNT):
        data = saved(Image.fromarray(scene(i, 320, 240)), "PNG")
        bucket.put_object(Bucket="scans", Key=f"true/{i:02d}.png", Body=data)
    proxy = Unsteady(server, rate=0.2, delay=0.02)
    try:
        made = run(
            "prepare folder", proxy.url, "s3://scans/true", "-o", "s3://scans/data", "--size", "64"
        )
        judged = run("eval --json --limit 8", proxy.url, "s3://scans/true", "-m", small_model,
                     "--per-image", "s3://scans/figures.jsonl")  # fmt: skip
    finally:
        proxy.close()
    assert made.returncode == 0, made.stderr
    assert judged.returncode == 0, judged.stderr
    assert json.loads(judged.stdout)["judged"] == 8
    assert len(body(bucket, "figures.jsonl").splitlines()) == 16  # the model's, and gray's
    here = tmp_path / "data"
    for key in keys(bucket, "data/"):
        (tmp_path / key).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / key).write_bytes(body(bucket, key))
    from colorcli.data import dataset

    data = dataset.load(here)  # raises where a shard is not whole
    assert sum(data.counts.values()) > COUNT / 2
