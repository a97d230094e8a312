"""What is kept of HTTP/2 frames that have not come whole.

h2 checks the length of a frame once all of it is there, and counts the frames of a head rather than their bytes. So a
client that needs no key could have 16 MB kept for it by nine bytes and what follows, on each of its connections.
"""

from h2.exceptions import DenialOfServiceError
from h2.frame_buffer import FrameBuffer
from hyperframe.frame import Frame

MAX_HEAD_BYTES = 1 << 16
"""Of the frames of one head, compressed. What they stand for is limited to 16 KiB."""


class BoundedFrames(FrameBuffer):
    """The frames of a connection: one that is too long is refused at its first nine bytes."""

    @property
    def amid_head(self) -> bool:
        """Whether a part of a request's head is there, and not the rest."""
        return bool(self._headers_buffer)

    def __next__(self) -> Frame:
        """The next frame. Raises `FrameTooLargeError` or another `ProtocolError`."""
        if len(self._data) >= 9:
            self._validate_frame_length(int.from_bytes(self._data[:3], "big"))
        return super().__next__()

    def _update_header_buffer(self, f: Frame | None) -> Frame | None:
        frame = super()._update_header_buffer(f)
        if sum(len(each.data) for each in self._headers_buffer) > MAX_HEAD_BYTES:
            raise DenialOfServiceError(f"a head of more than {MAX_HEAD_BYTES} bytes")
        return frame
