"""The sounds and subtitles of a video file, taken over into another."""

import contextlib
import io
import math
from pathlib import Path

import av

from allaprima.media.video import open_container, start_of

SOUND_BITS = 96_000  # a second and channel, for a sound that is encoded anew
LAYOUTS = {1: "mono", 6: "5.1"}  # by the number of channels; others become stereo
RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}  # of AAC


class Tracks:
    """Sounds and subtitles, copied as they are where the output has room for them; sounds are else encoded anew.

    Args:
        path: the video file that they are taken from.
        output: where they go; its header is not written yet.
        encoder: FFmpeg's name of what sounds are encoded with; None where the output has no room for any.

    Attributes:
        left: what the output has no room for, in words.
    """

    def __init__(self, path: Path, output: av.container.OutputContainer, encoder: str | None) -> None:
        self.path = path
        self.source = open_container(path)
        self.start = start_of(self.source)
        self.output = output
        self.copies: dict[int, av.stream.Stream] = {}
        self.encodings: dict[int, Encoding] = {}
        self.left: list[str] = []
        self.latest: dict[int, int] = {}  # a damaged file goes back in time, a file to be written may not
        streams = [stream for stream in self.source.streams if stream.type in ("audio", "subtitle")]
        for stream in streams:
            self._add(stream, encoder)
        taken = [stream for stream in streams if stream.index in (*self.copies, *self.encodings)]
        self.packets = self.source.demux(*taken) if taken else iter(())
        self.next = self._read()

    def _add(self, stream: av.stream.Stream, encoder: str | None) -> None:
        kind = {"audio": "sound", "subtitle": "subtitles"}[stream.type]
        name = f"{kind} ({stream.codec.canonical_name if stream.codec_context else 'of an unknown kind'})"
        if fits(self.path, stream.index, self.output.format.name):
            added = self.copies[stream.index] = self.output.add_stream_from_template(stream)
        elif encoder and stream.type == "audio" and stream.codec_context:
            encoding = self.encodings[stream.index] = Encoding(stream, self.output, encoder)
            added = encoding.stream
        else:
            self.left.append(name)
            return
        added.disposition = stream.disposition
        added.metadata.update({key: stream.metadata[key] for key in ("language", "title") if key in stream.metadata})

    def _read(self) -> av.Packet | None:
        with contextlib.suppress(av.FFmpegError):  # of a damaged file what can be read, as of its pictures
            return next((packet for packet in self.packets if packet.dts is not None), None)
        return None

    def copy(self, until: float) -> None:
        """Take over what begins before `until`, in seconds. Raises av.FFmpegError or OSError."""
        while self.next and float(self.next.dts * self.next.time_base - self.start) <= until:
            packet = self.next
            index = packet.stream.index
            offset = round(self.start / packet.time_base)
            packet.dts = max(packet.dts - offset, self.latest.get(index, packet.dts - offset))
            packet.pts = packet.dts if packet.pts is None else max(packet.dts, packet.pts - offset)
            self.latest[index] = packet.dts
            if index in self.copies:
                packet.stream = self.copies[index]
                self.output.mux(packet)
            else:
                self.output.mux(self.encodings[index](packet))
            self.next = self._read()

    def finish(self) -> None:
        """Take over what is left."""
        self.copy(math.inf)
        for encoding in self.encodings.values():
            self.output.mux(encoding(None))

    def close(self) -> None:
        """Close the file that they are taken from."""
        self.source.close()


def fits(path: Path, index: int, container: str) -> bool:
    """Whether a kind of file has room for a stream of a video file as it is: what it says of itself is not enough."""
    try:
        with open_container(path) as source, av.open(io.BytesIO(), "w", format=container) as trial:
            stream = source.streams[index]
            copy = trial.add_stream_from_template(stream)
            if stream.type == "audio":  # some say in their first packet alone what they are
                packet = next(source.demux(stream))
                packet.stream = copy
                trial.mux(packet)
            else:
                trial.start_encoding()
    except (av.FFmpegError, OSError, ValueError, StopIteration):
        return False
    return True


class Encoding:
    """A sound that is encoded anew: from its packets to others."""

    def __init__(self, sound: av.AudioStream, output: av.container.OutputContainer, encoder: str) -> None:
        rate = sound.rate if encoder == "aac" and sound.rate in RATES else 48_000
        layout = LAYOUTS.get(sound.channels, "stereo")
        self.sound = sound
        self.stream = output.add_stream(encoder, rate=rate, layout=layout)
        self.stream.bit_rate = SOUND_BITS * self.stream.channels
        self.resampler: av.AudioResampler | None = None

    def __call__(self, packet: av.Packet | None) -> list[av.Packet]:
        """The encoded packets that follow from the next packet, or from the end, None. Raises av.FFmpegError."""
        context = self.stream.codec_context
        if self.resampler is None:
            context.open(strict=False)
            self.resampler = av.AudioResampler(context.format, context.layout, context.rate, context.frame_size)
        frames = []
        with contextlib.suppress(av.error.InvalidDataError):  # a damaged packet is silence
            frames = self.sound.decode(packet)
        whole = [samples for frame in frames for samples in self.resampler.resample(frame)]
        if packet is None:
            whole += self.resampler.resample(None)
        encoded = [found for samples in whole for found in context.encode(samples)]
        encoded += context.encode(None) if packet is None else []
        for each in encoded:
            each.stream = self.stream
        return encoded
