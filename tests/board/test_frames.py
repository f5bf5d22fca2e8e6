"""Frames are found whatever stands between them and however the bytes come."""

from hypothesis import given
from hypothesis import strategies as st

from tflm_export.board.frames import Frame, FrameReader, frame

RUBBISH = st.binary(max_size=30).map(lambda raw: raw.replace(b"\xa5", b"."))
FRAMES = st.lists(
    st.tuples(RUBBISH, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=60)), max_size=6
)


@given(FRAMES, st.lists(st.integers(1, 50), min_size=1, max_size=20), RUBBISH)
def test_every_frame_is_found(parts, sizes, last):
    raw = b"".join(noise + frame(*rest) for noise, *rest in parts) + last
    reader, found, at, i = FrameReader(), [], 0, 0
    while at < len(raw):
        reader.feed(raw[at : at + sizes[i % len(sizes)]])
        at, i = at + sizes[i % len(sizes)], i + 1
        while (one := reader.next()) is not None:
            found.append(one)
    assert found == [Frame(*rest) for _, *rest in parts]


@given(st.binary(max_size=60), st.integers(0, 1000), st.integers(0, 7))
def test_a_damaged_frame_is_none_and_hides_no_other(payload, place, bit):
    raw = bytearray(frame(3, 5, payload))
    raw[place % len(raw)] ^= 1 << bit
    reader = FrameReader()
    reader.feed(bytes(raw) + frame(1, 6) * 3)
    found = []
    while reader.in_a_frame:
        one = reader.next()
        found += [one] if one is not None else []
        if one is None and reader.in_a_frame:
            reader.skip()
    assert Frame(3, 5, bytes(payload)) not in found and Frame(1, 6, b"") in found
