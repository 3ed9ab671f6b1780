"""What the programs with transactional producers have in common."""

import json
import sys
import traceback

PARTITIONS = 2


class Copier:
    """Does what each line says (commit N, abort N, open N, end), and tells what came of it. Subclasses have the client's
    methods; those of clients that block do."""

    def __init__(self, source, to, count, group):
        self.source, self.to, self.count, self.group = source, to, int(count), group
        self.read, self.taken, self.left = [], [], 0

    async def restart(self):
        """Goes on from what is committed."""
        self.read, self.taken = [], []
        self.left = PARTITIONS * self.count - sum(await self.rewind())

    async def run(self):
        await self.start()
        await self.restart()
        while line := sys.stdin.readline():
            word, *n = line.split()
            try:
                if word != "end":
                    await self.open(int(n[0]))
                if word in ("commit", "end"):
                    await self.end()
                if word == "abort":
                    await self.cancel()
                event, what = "done", ""
            except Exception as e:
                traceback.print_exc()
                event, what = "fenced" if self.fenced(e) else "failed", repr(e)
            if event == "failed":
                try:
                    await self.abort()
                    await self.restart()
                except Exception as e:
                    traceback.print_exc()
                    event, what = "fenced" if self.fenced(e) else "failed", f"{what}, and then {e!r}"
            print(json.dumps({"event": event, "what": what}), flush=True)
        await self.stop()

    async def open(self, n):
        """Writes the next records, with their offsets."""
        await self.begin()
        offsets = {}
        for _ in range(min(n, self.left)):
            while not self.read:
                self.read += await self.poll()
            partition, offset, value = record = self.read.pop(0)
            self.taken.append(record)
            await self.send(partition, value)
            offsets[partition] = offset + 1
        await self.flush()
        if offsets:
            await self.send_offsets(offsets)

    async def end(self):
        await self.commit()
        self.left -= len(self.taken)
        self.taken = []

    async def cancel(self):
        await self.abort()
        self.read, self.taken = self.taken + self.read, []


def tell(partition, value):
    """Prints a committed record."""
    print(json.dumps({"partition": partition, "value": value}), flush=True)
