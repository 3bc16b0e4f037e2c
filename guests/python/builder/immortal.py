"""Makes the objects of a component's memory image immortal, by writing to the component's file.

See `lib/guesthouse/immortal.py` for why. Every object is checked before it is touched: where its reference count and type
are not what they must be (it was freed after the list was made, say) it is left alone. Bytes are replaced by bytes, so
the file's structure stays as it is.
"""

import array
import bisect
import struct

MAGIC_CORE = b"\0asm\x01\0\0\0"
MAGIC_COMPONENT = b"\0asm\x0d\0\x01\0"

# Section numbers: component binary format, "core:module" and "component"; core specification 5.5.14, data section.
CORE_MODULE, COMPONENT = 1, 4
DATA = 11

#: More references than any object has that is counted at all.
COUNT_MAX = 1 << 28


def immortalise(component, objects, count):
    """Patches the file ``component`` in place; returns how many objects became immortal."""
    listed = array.array("I", objects)
    wanted = dict(zip(listed[::2], listed[1::2]))
    with open(component, "r+b") as file:
        content = bytearray(file.read())
        segments = max(data_segments(content), key=lambda found: sum(length for _, _, length in found), default=[])
        done = patch(content, sorted(segments), wanted, struct.pack("<I", count))
        file.seek(0)
        file.write(content)
    return done


def patch(content, segments, wanted, replacement):
    starts = [address for address, _, _ in segments]
    done = 0
    for address, kind in wanted.items():
        index = bisect.bisect_right(starts, address) - 1
        if index < 0:
            continue
        start, offset, length = segments[index]
        # The head of an object: its reference count and the address of its type.
        if address + 8 > start + length:
            continue
        place = offset + address - start
        references, found = struct.unpack_from("<II", content, place)
        if found == kind and 0 < references < COUNT_MAX:
            content[place:place + 4] = replacement
            done += 1
    return done


def data_segments(content):
    """For each core module, its active data segments: address in memory, offset in the file, length."""
    return [module_segments(content, start, end) for start, end in core_modules(content, 0, len(content))]


def core_modules(content, start, end):
    for section, begin, finish in sections(content, start + len(MAGIC_COMPONENT), end):
        if section == CORE_MODULE:
            yield begin, finish
        elif section == COMPONENT:
            yield from core_modules(content, begin, finish)


def sections(content, position, end):
    while position < end:
        section = content[position]
        length, position = unsigned(content, position + 1)
        yield section, position, position + length
        position += length


def module_segments(content, start, end):
    found = []
    for section, position, finish in sections(content, start + len(MAGIC_CORE), end):
        if section != DATA:
            continue
        count, position = unsigned(content, position)
        for _ in range(count):
            flags, position = unsigned(content, position)
            address = None
            if flags == 2:
                _, position = unsigned(content, position)
            if flags != 1:
                address, position = constant(content, position)
            length, position = unsigned(content, position)
            if address is not None:
                found.append((address, position, length))
            position += length
        assert position == finish
    return found


def constant(content, position):
    """The value of a constant expression; None where it is not a plain number (`global.get`)."""
    opcode = content[position]
    if opcode == 0x41:  # i32.const
        value, position = signed(content, position + 1)
        value &= 0xFFFFFFFF
    elif opcode == 0x23:  # global.get
        value, (_, position) = None, unsigned(content, position + 1)
    else:
        raise ValueError(f"constant expression with opcode {opcode:#x}")
    if content[position] != 0x0B:
        # Extended constant expressions have more to them; find their end.
        return None, content.index(0x0B, position) + 1
    return value, position + 1


def unsigned(content, position):
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def signed(content, position):
    start = position
    value, position = unsigned(content, position)
    bits = 7 * (position - start)
    return (value - (1 << bits) if value >> (bits - 1) & 1 else value), position
