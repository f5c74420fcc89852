// The text below the options in `lastrow eval --help`.
#pragma once

namespace lastrow::cli {

inline constexpr const char* kEvalHelp =
    R"(A cache that stores K and V in few bits, or forgets rows, changes what the model predicts. This command measures
by how much. It feeds texts token by token, once with a contiguous cache of f32 (the reference), and once with the
cache that --cache and --kv-dtype name. Each step feeds one token, and each text starts with an empty cache. After
a token, the logits of both runs predict the next one:

  perplexity        exp of the mean of −ln p(next token). 1: always certain and right
  change            of the perplexity against the reference. ±: the standard error from the choice of the texts;
                    with twice as many texts it is about 1.4 times smaller. A single text has none
  KL divergence     of the tested probabilities from those of the reference: the mean over all tokens, and the
                    largest, in nats. 0: the same probabilities. It also sees changes that happen to leave the
                    perplexity as it was
  flips             tokens after which the most probable next token is not that of the reference

Bytes are those that were allocated for K and V, scales included; for a tiny cache a backend may round them up.
The text is 16 fables that the built-in models were never trained on (16 · 255 predictions), or --text FILE. In a
file an empty line separates two texts. A text that is longer than the model's context is split into windows of
the context, also for positions=new, because the reference keeps every row.

--all measures each type of K and V: int8-channel in blocks, the others in a contiguous cache. Then it measures blocks
in f32, and the caches that forget rows, in f32 too; they keep a quarter and an eighth of the context. It prints each
row when it is measured.
A cache that this program or backend refuses gets its reason in place of numbers.

--json prints one object:

  model, backend
  text                     the file; null: the program's own texts
  texts, tokens            how many texts, and predictions in them
  reference                {perplexity, nats_per_token, bytes}
  rows                     one, or with --all one for each row of the table:
    cache, kv_dtype        as in the options; kv_dtype f64: what naive-f64 stores in place of f32
    refused                null; or why nothing was measured, and then the other fields are missing
    perplexity, nats_per_token, bytes
    bytes_of_reference     bytes / bytes of the reference
    bytes_per_token        K and V rows of one token in all layers, with their scales. With int8-channel: when its
                           block is full and has its scales
    rows_held_at_most      by a layer, after a step
    saturated              elements of K and V that their type could not hold, in all steps: they became infinite
                           (f16, bf16) or the largest number (fp8, int4, fp4). null: not counted, because kernels store them
    perplexity_change      perplexity / perplexity of the reference − 1
    perplexity_change_error    the ± above, as a part too; null for a single text
    kl_mean, kl_max        in nats
    kl_max_text, kl_max_token  where the largest is: the text, and the index of the predicted token in it; from 0
                             null: no token differs
    flips

Example:
  lastrow eval --model fable-gqa --kv-dtype k=int8,v=int4 --cache paged)";

}  // namespace lastrow::cli
