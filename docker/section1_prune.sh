#!/bin/sh
# Take out of /app/.venv what neither the job nor its tests use. Runs in the layer that installs it, so the image never
# holds it.
set -eu
cd /app/.venv/lib/python3.*/site-packages

python -m pip --quiet uninstall --yes mypy mypy-extensions ruff types-PyYAML ast-serialize librt pathspec
rm -rf pip pip-*.dist-info setuptools pkg_resources
rm -rf pandas/tests numpy/*/tests pyarrow/tests pyarrow/include pyarrow/src pyspark/examples pyspark/tests
rm -rf pyspark/python/test_support pyspark/data pyspark/licenses pyspark/*/tests
rm -rf pyspark/pandas pyspark/ml pyspark/mllib pyspark/pipelines
rm -f pyarrow/libarrow_python.so pyarrow/libarrow_python.so.*.* pyarrow/_pyarrow_cpp_tests*
rm -rf boto3/data boto3/examples
find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +
find pygments/lexers -name '*.py' ! -name __init__.py ! -name _mapping.py ! -name python.py ! -name diff.py -delete
rm -f pyarrow/libarrow_flight* pyarrow/_flight* pyarrow/libarrow_python_flight*
find . -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' | xargs rm -f

cd pyspark/jars
rm -rf connect-repl
rm -f spark-kubernetes_* kubernetes-* vertx-* okhttp-* zjsonpatch-* spark-yarn_*
rm -f spark-hive* hive-* datanucleus-* derby-* libthrift-* libfb303-* javax.jdo-* jdo-api-* HikariCP-*
rm -f spark-mllib* spark-graphx_* breeze* spire* cats-* algebra_* arpack* lapack-* blas-* JTransforms-* JLargeArrays-*
rm -f spark-connect_* spark-pipelines_* spark-repl_* scala-compiler-* jline-* rocksdbjni-* leveldbjni-*
rm -f ./*-osx-* ./*-windows-* spark-streaming_* jts-core-*

# Java takes jars/* in the order of the folder, which differs from machine to machine, and the archive of classes holds
# for one order only. So the folder gets a single jar, whose manifest names the others in the order of their names.
mkdir lib
mv ./*.jar lib/
python - <<'END'
import os
import zipfile

line = "Class-Path: " + " ".join(f"lib/{name}" for name in sorted(os.listdir("lib")))
parts = [line[:70], *(" " + line[start : start + 69] for start in range(70, len(line), 69))]
with zipfile.ZipFile("all.jar", "w") as jar:
    jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n" + "\r\n".join(parts) + "\r\n")
END
