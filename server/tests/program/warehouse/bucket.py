"""An object store that speaks S3, with one bucket, `shop`. It reports its address; then, for each line with a folder, it copies the
whole bucket there and reports when it is done.
"""

import logging
import pathlib
import sys

import boto3
from moto.server import ThreadedMotoServer


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    store = boto3.resource(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    bucket = store.create_bucket(Bucket="shop")
    print(url, flush=True)
    for line in sys.stdin:
        folder = pathlib.Path(line.rstrip("\n"))
        for item in bucket.objects.all():
            file = folder / item.key
            file.parent.mkdir(parents=True, exist_ok=True)
            bucket.download_file(item.key, str(file))
        print("copied", flush=True)


main()
