// The text below the options in `lastrow generate --help`.
#pragma once

namespace lastrow::cli {

inline constexpr const char* kGenerateHelp =
    R"(A model with random weights is random:KEY=VALUE,… with any of the keys layers, q_heads, kv_heads,
head_dim, model_dim, ffn, vocab, context, seed and arch (llama or gpt2). Scores are changed by alibi=1 (ALiBi
in place of RoPE), soft_cap=N, and window=N with window_period=P (every P-th layer sees only the last N keys).
For example:
random:layers=4,q_heads=8,kv_heads=2,head_dim=64,seed=1
random:layers=4,q_heads=8,kv_heads=2,soft_cap=50,window=32,window_period=2

A trace file holds one mode. With --mode both, run.safetensors holds the cached mode, and the file
run.recompute.safetensors holds the other. Recording makes the steps slower, and their times larger.

--kv-dtype is the type in which the cache stores K and V. f16, bf16 and fp8 (e4m3) round each element. int8
has one scale per row of a K/V head, int4 and fp4 (e2m1) have one per 32 elements of a row. int8-channel is for K only,
with --cache paged: it has one scale per channel of a block. New rows of K stay in f32 until their block has its scales,
and a prompt is fed in chunks of a block, or of --chunk. Recompute has no cache; its scratch memory is always f32.

With --cache window:w=W,sinks=N,positions=new a text may be longer than the model's context, and the cache does not
grow. W + N must fit in the context. With --mode both, the side without a cache feeds the whole text again for each
token, one token at a time: a text of 1000 tokens takes it 500,000 forwards.

--save-cache writes the rows of the whole text: the prompt and every generated token. Rows in f16 are saved as
F16 and those of naive-f64 as F64; all other types are saved decoded, as F32, and give the same bits when they
are loaded. --cache-from goes on behind the saved rows, so only new tokens are fed. Without --prompt the last
saved token is fed again, because its logits are needed and are not in the file. The file belongs to one model
and one --kv-dtype; --cache may differ. With --mode recompute only its tokens are used. numpy can open it:
  safetensors.numpy.load_file("fox.safetensors")["k.0"]        rows, K/V heads, head_dim

--prompts prints a line for each prompt when its text is complete: its number in the file, from 1, and its
text. The file - is standard input. A step feeds the whole prompt of each text that joins; with
positions=new one token of it, with int8-channel one block. So there is no --chunk. With --batch N up to N
sequences step together. When one ends, the next prompt joins the running ones. Sequences of different length are
packed one after the other, and no token is padding.

--share-prefix runs all prompts without sharing and with it. Prompts that begin with the same tokens then hold
the same blocks, and a prefill starts behind the blocks that are found. Only full blocks that an earlier step
has filled can be found, so a prompt may wait one step for them. The time to first token counts from the start
of the run, when all prompts wait. After a warm-up both ways run in turn, and times are medians over up to five
runs each. If the prompts share nothing, the times differ only by what else the machine does.

--pad-left shows what goes wrong in a batch that is padded on the left, if the position of a generated token
is counted from the padded length. lastrow pads nowhere else. The run with these positions is compared with
the run of packed sequences. A word that the tokenizer does not know is cut into pieces: each is a token.

--json prints one object. With --prompt:

  model, backend
  cache, kv_dtype          as in the options; kv_dtype is the type that is really stored
  prompt_tokens            ids of --prompt; with --cache-from also those of the file
  tokens_loaded            how many of them came with their rows from --cache-from
  tokens_equal             null unless --mode both
  max_abs_logit_diff       null unless --mode both
  context_full             whether the context was full before all tokens were generated
  modes                    {cached: {…}, recompute: {…}}, or only one of them, each with:
    text                   with the prompt
    tokens                 the ids that were chosen
    turns                  one for --prompt and one for each --then: {prompt_tokens, tokens}
    stored_not_finite      at the end: how many elements of K and V are NaN or infinite
    stored_at_limit        at the end, fp8 only: how many elements are ±448, the largest number
    attend_kernel          of the last step; only if the backend has kernels to choose from
    steps_replayed         how many steps ran as the record of an earlier step; likewise
    steps                  each has:
      position             of its last token
      phase                prefill (its tokens were given) or decode
      chosen               the token that was chosen after it; null if more of the prompt follows
      q_len                tokens fed
      kv_len               rows in a layer while the step runs; with --prompts the sum over all texts
      q_rows               rows of Q, over all layers
      kv_rows_projected    rows of K, and as many of V, over all layers
      score_cells          over all layers and query heads
      cache_bytes_read     cached only
      cache_bytes_written  cached only
      kv_scratch_bytes     recompute: the same traffic, in memory that is emptied before each step.
                           cached: only with positions=new, the keys that are rotated in each step
      rows_held            cached only, as are the next five: rows of K (and of V) in each layer. A row that
                           two texts share counts in both; blocks_used counts its block once
      rows_evicted         rows that the cache forgot in this step
      saturated            elements of the step's K and V rows that their type could not hold: they became
                           infinite (f16, bf16) or the largest number (fp8, int4, fp4). null: not counted, because kernels store them
      blocks_used          blocks that hold the rows
      blocks_shared        of these, blocks that two or more sequences hold
      bytes_held           the blocks used, in all layers
      flop, wall_us

With --prompts, instead of the fields from prompt_tokens on:

  batch                    sequences that may step together
  prompts                  in the order of the file, each with:
    line, prompt           as in the file; lines count from 1
    prompt_tokens, tokens  ids
    text                   with the prompt
    context_full           whether the context was full before all tokens were generated
    tokens_found           prompt tokens whose rows were found in the cache
    queued_us              from the start of the run to the start of its prefill
    first_token_us         from the start of the run to its first token
    first_step, last_step  of `steps`, from 0: the first step of its prefill, and the one that chose its last token
  steps                    as above, of all sequences together, except `chosen`; and:
    prompts                which of `prompts` stepped, from 0
  share_prefix             null, or how the ways compare; `prompts` and `steps` are of one more run with sharing:
    without, with          each has:
      first_token_us_mean, first_token_us_median, queued_us_mean    over the prompts; as above
      prompt_tokens        of all prompts
      prompt_tokens_found, prompt_tokens_fed    they add up to prompt_tokens
      prompts_that_hit     prompts of which rows were found
      bytes_saved          K and V of the tokens found, summed over prompts
      bytes_held_at_most   of the blocks in use at one time
      blocks_evicted       kept blocks of ended texts that were taken for new rows
    runs_each_way          from which the times are medians
    lines_that_differ      lines of the file whose texts differ
  pad_left                 null, or:
    padded_tokens          of all prompts, computed for nothing
    prompt_tokens          of all prompts, without padding
    prompts                in the order of the file, each with:
      line                 from 1
      padded_tokens        before its prompt
      tokens               the ids that the padded run chose
      first_wrong_token    index in `tokens`, from 0; null if all are right

Example:
  lastrow generate --model fable-gqa --prompt "the quick brown fox" --tokens 20 --mode both)";

}  // namespace lastrow::cli
