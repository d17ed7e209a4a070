"""What fanout prints is understood, faults too."""

from bench.crowd import sections

SAID = """one filter: 1,000 readers, 5,000 posts, 4,900,000 deliveries
  delay p50 31 ms, p95 50 ms, p99 1,058 ms, max 2,091 ms
  lost 0, doubled 0, out of order 0; 20 slow readers cut 3 times, told of 90 missed posts, not told of 0
  the web process took 9.1 s of a core
a filter each: 1,000 readers, 500 posts/s, 4,900,000 deliveries
  from the network's frame to the socket p50 40 ms, p95 60 ms, p99 80 ms, max 99 ms
  lost 12, doubled 0, out of order 0; slow readers cut 3 times, told of 90 missed posts, not told of 7
"""  # noqa: E501


def test_delays_and_faults_of_each_run() -> None:
    assert sections(SAID) == {
        "one filter": (31, 1_058, ""),
        "a filter each": (40, 80, "lost 12, not told of 7"),
    }
