#!/bin/sh
# Runs a compiler and keeps its report of registers and spills:   keep_ptxas.sh FOLDER nvcc … -o X/k05.cu.o …
# FOLDER/k05.cu.txt then holds the standard error of the last compilation. Lines that are not about registers are also
# shown.
folder=$1
shift
object=
previous=
for argument in "$@"; do
  if [ "$previous" = -o ]; then object=$argument; fi
  previous=$argument
done
log=$folder/$(basename "${object%.o}").txt
mkdir -p "$folder"
status=0
"$@" 2> "$log" || status=$?
grep -v -e "^ptxas info" -e "bytes stack frame" "$log" >&2
exit $status
