#!/bin/sh
# Compiler launcher of `make test`: the same sources are compiled for hundreds of images, so ccache keeps the objects,
# where it is installed. It does not keep the call graph that GCC writes beside an object: that is kept here, by the
# object's hash.
command -v ccache >/dev/null 2>&1 || exec "$@"
CCACHE_DIR=${CCACHE_DIR:-${0%/*}/../../build/ccache}
CCACHE_BASEDIR=${TMPDIR:-/tmp} # each test builds in a directory of its own
CCACHE_NOHASHDIR=1
export CCACHE_DIR CCACHE_BASEDIR CCACHE_NOHASHDIR
case " $* " in
*" -fcallgraph-info=su "*) ;;
*) exec ccache "$@" ;;
esac
object='' previous=''
for word in "$@"; do
    [ "$previous" = -o ] && object=$word
    previous=$word
done
graph=${object%.*}.ci
rm -f "$graph"
ccache "$@" || exit
hash=$(sha1sum "$object") || exit
kept=$CCACHE_DIR/graphs/${hash%% *}
if [ -f "$graph" ]; then
    mkdir -p "$CCACHE_DIR/graphs" && cp "$graph" "$kept.$$" && mv "$kept.$$" "$kept"
elif [ -f "$kept" ]; then
    cp "$kept" "$graph"
else
    exec "$@"
fi
