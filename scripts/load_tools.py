"""What the load scripts have in common: building the load servers, starting them, and driving them with wrk."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# How a script for wrk reports its run: requests, microseconds, errors, and latencies in microseconds.
LUA_DONE = """
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    e.status + e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
"""


class Failure(Exception):
    pass


def progress(text):
    print(text, file=sys.stderr, flush=True)


def run_script(name, main):
    """Runs a script that may be told to stop, and says why it failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except (Failure, OSError, subprocess.SubprocessError) as failure:
        sys.exit(f"{name}: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)


def build():
    subprocess.run(["cargo", "build", "--release", "--package", "load"], cwd=ROOT, check=True)
    metadata = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    target = json.loads(subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True).stdout)["target_directory"]
    return Path(target) / "release" / "load"


def cpu_seconds(pid):
    # The fields after the name, which stands in parentheses and may have spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """A load server, which prints its address when it listens."""

    def __init__(self, command):
        self.command = [str(word) for word in command]
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)

    def wait(self):
        is_ready, _, _ = select.select([self.process.stdout], [], [], 10)
        self.address = self.process.stdout.readline().strip() if is_ready else ""
        if not self.address:
            raise Failure(f"{' '.join(self.command)} did not start")

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as response:
            return json.load(response)

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Wrk:
    """A wrk under way, on one thread, with a script that ends with LUA_DONE."""

    def __init__(self, server, lua, arguments, connections, seconds, prefix=(), options=()):
        self.seconds = seconds
        command = [
            *prefix, "wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", *options,
            f"--script={lua}", f"http://{server.address}", "--", *map(str, arguments),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def result(self):
        """Requests, seconds, and the latencies' median and 99th percentile in microseconds. Fails if a request did."""
        try:
            output, _ = self.process.communicate(timeout=self.seconds + 30)
        finally:
            self.kill()
        found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+)$", output, re.MULTILINE)
        if not found:
            raise Failure(f"wrk failed:\n{output}")
        requests, micros, errors, median, p99 = map(int, found.groups())
        if errors or not requests:
            raise Failure(f"{errors} of {requests} requests failed")
        return requests, micros / 1e6, median, p99

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


# For how long is counted, by the last digit of a series, and what, by the first one: owner and part. See
# storage-mysql/migrations/5_reports.sql.
MINUTES = "TIMESTAMPDIFF(MINUTE, '1970-01-01 00:00:00', timestamp)"
STARTS = {
    1: f"{MINUTES} DIV 15",
    2: f"{MINUTES} DIV 60 * 4",
    3: f"{MINUTES} DIV 360 * 24",
    4: f"{MINUTES} DIV 1440 * 96",
    5: f"({MINUTES} DIV 1440 - DAY(timestamp) + 1 + 10 * LEAST((DAY(timestamp) - 1) DIV 10, 2)) * 96",
    6: f"({MINUTES} DIV 1440 - DAYOFYEAR(timestamp) + 1) * 96",
}
PLACES = {2: ("affiliate_id", "0"), 3: ("campaign_id", "0"), 4: ("0", "0")}
SERIES = {11: (STARTS[1], "affiliate_id", "campaign_id")}
SERIES |= {10 + span: (STARTS[span], "campaign_id", "affiliate_id") for span in (4, 5, 6)}
SERIES |= {10 * what + span: (STARTS[span], *PLACES[what]) for what in PLACES for span in STARTS if (what, span) != (2, 1)}
STATUSES = ("pending", "approved", "rejected")


def recount(series):
    """Counts the counters of this series of which a recount differs."""
    start, owner, part = SERIES[series]
    key = f"{start} AS start, {owner} AS owner, {part} AS part"
    sums = [f"{status}_{what}" for status in STATUSES for what in ("conversions", "amount", "payout")]
    counted = ", ".join(f"COALESCE({column}, 0) AS {column}" for column in sums)
    nothing = ", ".join("0" for _ in sums)
    worth = ", ".join(
        f"IF(status = '{status}', -1, 0), IF(status = '{status}', -amount, 0), 0" for status in STATUSES
    )
    payout = ", ".join(f"0, 0, IF(status = '{status}', -payout, 0)" for status in STATUSES)
    return f"""
        SELECT COUNT(*) FROM (
            SELECT start, owner, part, currency FROM (
                SELECT start, owner, part, currency, COALESCE(clicks, 0) AS clicks, {counted}
                FROM figures WHERE series = {series}
                UNION ALL
                SELECT {key}, '', -1, {nothing} FROM clicks
                UNION ALL
                SELECT {key}, currency, 0, {worth} FROM conversions
                UNION ALL
                SELECT {key}, payout_currency, 0, {payout} FROM conversions WHERE payout IS NOT NULL
            ) AS both_counts
            GROUP BY start, owner, part, currency
            HAVING SUM(clicks) <> 0 OR {" OR ".join(f"SUM({column}) <> 0" for column in sums)}
        ) AS differences"""


class Database:
    """A private, durable server with one database, which may be kept for the next run."""

    def __init__(self, kind, directory, is_kept=False):
        self.is_kept = is_kept
        # Where temporary tables go, which otherwise were in a directory that everybody uses.
        temporary = directory / "tmp"
        temporary.mkdir(parents=True, exist_ok=is_kept)
        command = [
            ROOT / "scripts" / "start-database", kind, "--durable", *([] if is_kept else ["--while-stdin"]),
            "--dir", directory, "--", f"--tmpdir={temporary}",
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        is_ready, _, _ = select.select([self.process.stdout], [], [], 60)
        server = self.process.stdout.readline().strip() if is_ready else ""
        if not server:
            self.stop()
            raise Failure(f"the database did not start:\n{self.process.stderr.read()}")
        self.url = f"{server}/load"
        self.port = server.rsplit(":", 1)[1]
        self.pid = int((directory / "pid").read_text())
        self.query(f"CREATE DATABASE {'IF NOT EXISTS' if is_kept else ''} `load`", database="")

    def query(self, sql, database="load"):
        command = [
            "mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={self.port}", "--user=root", "--batch",
            "--skip-column-names", f"--execute={sql}", *([database] if database else []),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"a query failed: {done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def count(self, table):
        return int(self.query(f"SELECT COUNT(*) FROM {table}")[0][0])

    def check_counters(self):
        for series in SERIES:
            in_memory = "SET SESSION tmp_table_size = 268435456, max_heap_table_size = 268435456;"
            differences = int(self.query(in_memory + recount(series))[0][0])
            if differences:
                raise Failure(f"{differences} counters of series {series} differ from a recount")

    def stop(self):
        """The script kills the server and removes its files when its stdin is closed, unless they are kept."""
        if self.is_kept:
            self.process.terminate()
        self.process.stdin.close()
        self.process.wait()
