"""What the package promises of itself: Python 3.9, nothing but the standard library."""

import ast
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Code(unittest.TestCase):
    def test_it_is_python_3_9_and_imports_nothing_else(self):
        files = sorted([*ROOT.glob("voip/*.py"), *ROOT.glob("examples/*.py")])
        self.assertGreater(len(files), 12)
        standard = getattr(sys, "stdlib_module_names", None)
        for file in files:
            tree = ast.parse(file.read_text(encoding="utf-8"), str(file), feature_version=(3, 9))
            for node in ast.walk(tree):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module]
                for name in names:
                    # PyAudio is taken where it happens to be installed.
                    known = standard is None or name.split(".")[0] in {*standard, "voip", "pyaudio"}
                    self.assertTrue(known, f"{file}: {name}")


if __name__ == "__main__":
    unittest.main()
