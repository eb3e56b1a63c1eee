"""What `packaging/mkapk` writes is what apk-tools 3.0.6 writes of the same files, octet for octet.

`vector.apk` beside this file is a package that apk-tools made of `sample`. With DLAN_APK, the path of an `apk` of version 3, it is
asked as well: about other trees, and to install what was written.
"""

import hashlib
import importlib.machinery
import importlib.util
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
MKAPK = HERE.parent / "mkapk"
VECTOR = HERE / "vector.apk"
APK = os.environ.get("DLAN_APK")
EPOCH = "1790000000"

INFO = {
    "name": "vector", "version": "1.2-r3", "description": "A small package", "arch": "mipsel_24kc", "license": "MIT", "origin": "here",
    "url": "https://example.org/vector", "maintainer": "Somebody <somebody@example.org>", "depends": "libc kmod-vxlan base-files",
}


def load():
    loader = importlib.machinery.SourceFileLoader("mkapk", str(MKAPK))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mkapk", loader))
    loader.exec_module(module)
    return module


mkapk = load()


def write(path, content, mode=0o644):
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def sample(top):
    """Every kind of thing that a package can hold; returns the scripts by when they run."""
    write(top / "files/etc/config/vector", b"config vector\n")
    write(top / "files/usr/bin/vector", b"#!/bin/sh\necho vector\n", 0o755)
    write(top / "files/usr/bin/again", b"#!/bin/sh\necho vector\n", 0o755)
    write(top / "files/usr/share/nothing", b"", 0o600)
    write(top / "files/usr/share/much", bytes(range(256)) * 40)
    write(top / "files/usr/share.d/odd", b"x" * 7)
    (top / "files/usr/lib").mkdir()
    (top / "files/usr/lib/link").symlink_to("../bin/vector")
    (top / "files/etc/secret").mkdir()
    for path in (top / "files").rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    (top / "files").chmod(0o755)
    (top / "files/etc/secret").chmod(0o700)
    write(top / "short", b"#!/bin/sh\nexit 0\n")
    write(top / "long", b"#!/bin/sh\n" + b"# a comment to make it long\n" * 20)
    return {"post-install": top / "short", "pre-deinstall": top / "long", "post-upgrade": top / "short"}


def make(command, top, scripts, output, info=None, more=()):
    """Has a package made by a command with the options of `apk mkpkg`."""
    options = [option for pair in (info or INFO).items() for option in ("--info", ":".join(pair))]
    options += [option for when, path in scripts.items() for option in ("--script", f"{when}:{path}")]
    return subprocess.run(
        [*command, *options, "--files", str(top / "files"), "--output", str(output), *more],
        env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH}, capture_output=True, text=True, check=False)


class Case(unittest.TestCase):
    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.top)

    def made(self, scripts, name="ours.apk", **options):
        done = make([str(MKAPK)], self.top, scripts, self.top / name, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return (self.top / name).read_bytes()


class Packages(Case):
    def test_a_package_is_the_one_that_apk_tools_make_octet_for_octet(self):
        made = self.made(sample(self.top))
        vector = VECTOR.read_bytes()
        self.assertEqual(mkapk.zlib.decompress(made[4:], -15), mkapk.zlib.decompress(vector[4:], -15))
        self.assertEqual(made, vector)

    def test_times_of_files_and_the_order_of_the_options_leave_no_trace(self):
        scripts = sample(self.top)
        first = self.made(scripts)
        for path in (self.top / "files").rglob("*"):
            os.utime(path, (1, 1), follow_symlinks=False)
        second = self.made(dict(reversed(scripts.items())), "second.apk", info=dict(reversed(INFO.items())))
        self.assertEqual(first, second)

    def test_a_squeezer_changes_the_compression_alone(self):
        scripts = sample(self.top)
        write(self.top / "squeezer", b"#!/bin/sh\nexec gzip -1n\n", 0o755)
        plain, squeezed = self.made(scripts), self.made(scripts, "squeezed.apk", more=["--squeezer", str(self.top / "squeezer")])
        self.assertNotEqual(plain, squeezed)
        self.assertEqual(mkapk.zlib.decompress(plain[4:], -15), mkapk.zlib.decompress(squeezed[4:], -15))
        write(self.top / "squeezer", b"#!/bin/sh\necho nonsense\n", 0o755)
        done = make([str(MKAPK)], self.top, scripts, self.top / "bad.apk", more=["--squeezer", str(self.top / "squeezer")])
        self.assertIn("makes no plain gzip", done.stderr)

    def test_every_file_is_there_with_the_hash_of_its_content(self):
        octets = mkapk.zlib.decompress(self.made(sample(self.top))[4:], -15)
        for path in (self.top / "files").rglob("*"):
            if path.is_file() and not path.is_symlink():
                self.assertIn(hashlib.sha256(path.read_bytes()).digest(), octets, path)
                self.assertIn(path.read_bytes(), octets, path)

    def test_what_cannot_be_said_is_refused_and_nothing_is_written(self):
        scripts = sample(self.top)
        bad = {
            "version": {**INFO, "version": ""}, "only names": {**INFO, "depends": "libc>=1"}, "colon": {**INFO, "nonsense": "x"},
            "hashes": {**INFO, "hashes": "00"},
        }
        for word, info in bad.items():
            done = make([str(MKAPK)], self.top, scripts, self.top / "bad.apk", info=info)
            self.assertNotEqual(done.returncode, 0, word)
            self.assertIn(word, done.stderr)
        os.mkfifo(self.top / "files/fifo")
        done = make([str(MKAPK)], self.top, scripts, self.top / "bad.apk")
        self.assertIn("neither a file nor", done.stderr)
        self.assertFalse((self.top / "bad.apk").exists())


class Signatures(Case):
    def setUp(self):
        super().setUp()
        if not shutil.which("openssl"):
            self.skipTest("there is no openssl")
        self.key = self.top / "key.pem"
        (self.top / "keys").mkdir()
        self.public = self.top / "keys/key.pem"
        for words in (["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key],
                      ["pkey", "-in", self.key, "-pubout", "-out", self.public]):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    def test_a_signature_stands_between_database_and_data_and_vouches_for_the_database(self):
        scripts = sample(self.top)
        plain = mkapk.zlib.decompress(self.made(scripts)[4:], -15)
        signed = mkapk.zlib.decompress(self.made(scripts, "signed.apk", more=["--sign", str(self.key)])[4:], -15)
        length = struct.unpack_from("<I", plain, 8)[0]
        end = 8 + length + -length % 8
        self.assertEqual(signed[:end], plain[:end])
        header = struct.unpack_from("<I", signed, end)[0]
        self.assertEqual(header >> 30, mkapk.BLOCK_SIGNATURE)
        size = header & 0x3FFFFFFF
        block = signed[end + 4:end + size]
        self.assertEqual(signed[end + size + -size % 8:], plain[end:])
        (self.top / "signature").write_bytes(block[18:])
        said = b"pckg" + block[:18] + hashlib.sha512(plain[12:8 + length]).digest()
        words = ["dgst", "-sha512", "-verify", self.public, "-signature", self.top / "signature"]
        subprocess.run(["openssl", *map(str, words)], input=said, check=True, capture_output=True)

    @unittest.skipUnless(APK, "DLAN_APK names no apk")
    def test_apk_trusts_a_signed_package_and_no_other(self):
        scripts = sample(self.top)
        self.made(scripts)
        self.made(scripts, "signed.apk", more=["--sign", str(self.key)])
        verify = [APK, "--keys-dir", str(self.top / "keys"), "verify"]
        self.assertEqual(subprocess.run([*verify, self.top / "signed.apk"], check=False).returncode, 0)
        self.assertNotEqual(subprocess.run([*verify, self.top / "ours.apk"], check=False).returncode, 0)


def scatter(chance, top):
    """A tree of files by chance."""
    for _ in range(chance.randrange(1, 40)):
        path = top / "files" / "/".join(chance.choice(("a", "b", "ab", "a.b", "a-b", "Z", "lib")) for _ in range(chance.randrange(1, 4)))
        if any(parent.is_file() or parent.is_symlink() for parent in path.parents) or path.exists() or path.is_symlink():
            continue
        if chance.random() < 0.1:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(chance.choice(("x", "../there")))
        else:
            write(path, chance.randbytes(chance.choice((0, 1, 9, 300, 70_000))), chance.choice((0o644, 0o755, 0o400)))
    (top / "files").mkdir(exist_ok=True)


@unittest.skipUnless(APK, "DLAN_APK names no apk")
class Agreement(Case):
    """With the real program."""

    def test_the_vector_is_what_apk_makes(self):
        done = make([APK, "mkpkg"], self.top, sample(self.top), self.top / "real.apk")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.top / "real.apk").read_bytes(), VECTOR.read_bytes())

    def test_trees_by_chance_become_the_same_package(self):
        for seed in range(60):
            chance = random.Random(seed)
            top, self.top = self.top, self.top / str(seed)
            scatter(chance, self.top)
            write(self.top / "script", chance.randbytes(chance.choice((1, 254, 255, 256, 65_535, 65_536))))
            words = {**INFO, "description": "x" * chance.choice((1, 200, 300)), "depends": " ".join(chance.sample("cabxyz", 3))}
            real = self.top / "real.apk"
            done = make([APK, "mkpkg"], self.top, {"pre-install": self.top / "script"}, real, info=words)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.made({"pre-install": self.top / "script"}, info=words), real.read_bytes(), seed)
            self.top = top

    def test_apk_installs_and_removes_it(self):
        scripts = sample(self.top)
        info = {word: value for word, value in INFO.items() if word != "depends"}
        self.made(scripts, info=info)
        root = ["--root", str(self.top / "root"), "--arch", INFO["arch"], "--no-network", "--no-scripts"]
        subprocess.run([APK, *root, "--initdb", "--allow-untrusted", "add", self.top / "ours.apk"], check=True, capture_output=True)
        for path in (self.top / "files").rglob("*"):
            installed = self.top / "root" / path.relative_to(self.top / "files")
            self.assertEqual(installed.lstat().st_mode, path.lstat().st_mode, path)
            if path.is_file():
                self.assertEqual(installed.read_bytes(), path.read_bytes())
        subprocess.run([APK, *root, "del", "vector"], check=True, capture_output=True)
        left = [path for path in (self.top / "root/usr").rglob("*")]
        self.assertEqual(left, [])


if __name__ == "__main__":
    unittest.main()
