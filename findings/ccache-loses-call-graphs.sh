#!/bin/sh
# ccache keeps an object and loses the call graph that GCC wrote beside it.
#
# Expected by most: what a compilation leaves is there whether the compiler ran or ccache answered, or ccache does not
#   answer for options that it does not know to write more files; so it is with -fstack-usage, whose .su file comes back.
# Happens: with -fcallgraph-info=su a second build in another folder is a hit, has the object, and has no .ci file. What
#   computes the deepest stack from these files finds none of the functions, without an error of anybody.
set -eu
for command in ccache gcc; do
    command -v "$command" >/dev/null || { echo "$command is missing: sudo apt-get install ccache gcc" >&2; exit 77; }
done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
export CCACHE_DIR="$place/kept" CCACHE_BASEDIR="$place" CCACHE_NOHASHDIR=1
ccache --version | head -n 1
gcc --version | head -n 1
for folder in first second; do
    mkdir "$place/$folder"
    echo 'int twice(int x) { return 2 * x; }' >"$place/$folder/a.c"
    (cd "$place/$folder" && ccache gcc -O1 -fstack-usage -fcallgraph-info=su -c a.c -o a.o)
    echo "seen: $folder build left $(cd "$place/$folder" && ls a.* | tr '\n' ' ')"
done
hits=$(ccache --print-stats | awk '$1 ~ /^(direct|preprocessed)_cache_hit$/ { sum += $2 } END { print sum }')
echo "seen: $hits hit"
cd "$place"
[ "$hits" = 1 ] && [ -f first/a.o ] && [ -f first/a.su ] && [ -f first/a.ci ] &&
    [ -f second/a.o ] && [ -f second/a.su ] && [ ! -f second/a.ci ] || { echo "that has changed" >&2; exit 1; }
