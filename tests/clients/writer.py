#!/usr/bin/python3
"""Writes to whom redis-py's Sentinel support takes for the master, until it is told to end.

  writer.py GROUP HOST:PORT[,HOST:PORT…] PREFIX [TOKEN [PASSWORD]]

TOKEN is for the Sentinels, PASSWORD for the servers. Prints a line for each write:

  ack BEGIN END PORT NUMBER      acknowledged by the server at that port; times in microseconds of the monotonic clock
  err BEGIN END TEXT             not acknowledged
"""
import sys
import time

import redis
from redis.sentinel import Sentinel

PAUSE = 0.001  # between two writes


def now():
    return time.monotonic_ns() // 1000


def main():
    group, sentinels, prefix = sys.argv[1:4]
    token, password = (sys.argv[4:6] + [None, None])[:2]
    addresses = [tuple(each.rsplit(":", 1)) for each in sentinels.split(",")]
    sentinel = Sentinel(
        addresses,
        socket_timeout=1,
        password=password or None,
        sentinel_kwargs={"socket_timeout": 1, "password": token or None},
    )
    master = sentinel.master_for(group)
    number = 0
    while True:
        number += 1
        begin = now()
        try:
            master.set(prefix + str(number), number)
            port = master.connection_pool.master_address[1]
            print("ack", begin, now(), port, number, flush=True)
        except redis.RedisError as error:
            print("err", begin, now(), type(error).__name__, " ".join(str(error).split()), flush=True)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
