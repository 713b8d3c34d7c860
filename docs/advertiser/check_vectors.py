"""Prints what postback.py makes of each vector."""

import json, sys

# Nothing is left beside the samples.
sys.dont_write_bytecode = True
from postback import signed_headers, signed_query  # noqa: E402

with open(sys.argv[1], encoding="utf-8") as file:
    vectors = json.load(file)
for v in vectors["get"]:
    print(signed_query(dict(v["parameters"]), v["key"], v["signed_at"]))
for v in vectors["post"]:
    print(signed_headers(v["body"].encode(), v["key"], v["id"], v["timestamp"])["webhook-signature"])
