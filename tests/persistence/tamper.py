"""Take a bundle apart and write it again, as somebody would who wants it to be believed."""

import hashlib
import io
import json
import zipfile

from crtkit.persistence.archive import MANIFEST, digest_of


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def rewrite(path, parts, *, compression=zipfile.ZIP_STORED, rehash=True):
    """Write members back; with ``rehash`` as an attacker would who also corrects every hash."""
    parts = dict(parts)
    if rehash:
        manifest = json.loads(parts[MANIFEST])
        manifest["parts"] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in parts.items()
            if name != MANIFEST
        }
        manifest["digest"] = digest_of(manifest)
        parts[MANIFEST] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def edit_schema(data, function):
    """The skops part with its schema changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == "schema.json":
                content = json.dumps(function(json.loads(content))).encode()
            new.writestr(info.filename, content)
    return out.getvalue()


def replace_text(path, old, new):
    """Put another text into the manifest, JSON or not, and leave all else as it is."""
    parts = members(path)
    text = parts[MANIFEST].decode()
    assert old in text
    parts[MANIFEST] = text.replace(old, new).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def edit_manifest(path, change):
    """The bundle with its manifest changed by ``change(manifest)``, and its digest corrected."""
    parts = members(path)
    manifest = json.loads(parts[MANIFEST])
    change(manifest)
    return rewrite(path, {**parts, MANIFEST: json.dumps(manifest).encode()})
