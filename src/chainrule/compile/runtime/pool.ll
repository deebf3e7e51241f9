; The pool of threads that share the work of large loop nests.
;
; A thread that has work for others publishes it as numbered chunks. It takes them from the front,
; those who help take them from the back: so a thread meets in the next nest, as far as it goes, the
; rows that it has just made. At the end it waits for chunks that others have begun. All waiting is
; done in the kernel, so that an idle pool costs nothing. There is one piece of work at a time: a
; thread that finds the pool busy does its work alone. Which thread does a chunk makes no difference
; to the result.

%work = type { ptr, ptr, i64, i64 } ; the function, what it is handed, number of chunks, round

@mutex = global [128 x i8] zeroinitializer, align 64
@wake = global [128 x i8] zeroinitializer, align 64 ; there is work
@idle = global [128 x i8] zeroinitializer, align 64 ; all chunks are done
@claims = global i64 0, align 64  ; round, end and begin of what nobody has taken: 24, 20, 20 bits
@done = global i64 0, align 64    ; how many chunks are done
@work = global %work zeroinitializer, align 64
@round = global i64 0             ; counts the pieces of work, with 24 bits
@open = global i64 0              ; how many workers may still join
@flags = global i32 0             ; floating-point flags that workers met
@busy = global i64 0
@workers = global i64 0           ; how many have been started
@limit = global i64 1             ; how many threads may work, with the one that asks

declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
FLAGS_DECLARED

; Make everything as it was in the beginning; a fork leaves the child without workers.
define void @reset() nounwind {
  store i64 0, ptr @workers
  store i64 0, ptr @open
  store i64 0, ptr @busy
  %a = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %b = call i32 @pthread_cond_init(ptr @wake, ptr null)
  %c = call i32 @pthread_cond_init(ptr @idle, ptr null)
  ret void
}

; Return a chunk that nobody has taken, the first or the last one, or -1 if the round is over.
define internal i64 @claim(i64 %round, i1 %last) nounwind {
entry:
  %first = load atomic i64, ptr @claims seq_cst, align 8
  br label %try
try:
  %seen = phi i64 [ %first, %entry ], [ %now, %change ]
  %of = lshr i64 %seen, 40
  %same = icmp eq i64 %of, %round
  %high = lshr i64 %seen, 20
  %end = and i64 %high, 1048575
  %begin = and i64 %seen, 1048575
  %some = icmp ult i64 %begin, %end
  %go = and i1 %same, %some
  br i1 %go, label %change, label %none
change:
  %shorter = sub i64 %seen, 1048576
  %later = add i64 %seen, 1
  %left = select i1 %last, i64 %shorter, i64 %later
  %swap = cmpxchg ptr @claims, i64 %seen, i64 %left seq_cst seq_cst
  %now = extractvalue { i64, i1 } %swap, 0
  %ok = extractvalue { i64, i1 } %swap, 1
  br i1 %ok, label %mine, label %try
mine:
  %before_end = sub i64 %end, 1
  %chunk = select i1 %last, i64 %before_end, i64 %begin
  ret i64 %chunk
none:
  ret i64 -1
}

; Call a function for chunks until all are taken.
define internal void @take(ptr %function, ptr %given, i64 %chunks, i64 %round, i1 %helps) nounwind {
entry:
  br label %again
again:
  %chunk = call i64 @claim(i64 %round, i1 %helps)
  %over = icmp slt i64 %chunk, 0
  br i1 %over, label %end, label %one
one:
  call void %function(ptr %given, i64 %chunk)
  br i1 %helps, label %hand_over, label %counted
hand_over: ; before the chunk counts as done, as nobody waits for this thread then
  %met = call i32 @read_flags()
  %a = atomicrmw or ptr @flags, i32 %met seq_cst
  br label %counted
counted:
  %before = atomicrmw add ptr @done, i64 1 seq_cst
  %so_far = add i64 %before, 1
  %all = icmp eq i64 %so_far, %chunks
  %last = and i1 %all, %helps
  br i1 %last, label %tell, label %again
tell:
  %b = call i32 @pthread_mutex_lock(ptr @mutex)
  %c = call i32 @pthread_cond_signal(ptr @idle)
  %d = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %again
end:
  ret void
}

define internal ptr @worker(ptr %unused) nounwind {
entry:
  %a = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %look
look:
  %seen = phi i64 [ 0, %entry ], [ %seen, %sleep ], [ %now, %join ]
  %now = load i64, ptr @round
  %new = icmp ne i64 %now, %seen
  %places = load i64, ptr @open
  %free = icmp sgt i64 %places, 0
  %go = and i1 %new, %free
  br i1 %go, label %join, label %sleep
sleep:
  %b = call i32 @pthread_cond_wait(ptr @wake, ptr @mutex)
  br label %look
join:
  %fewer = sub i64 %places, 1
  store i64 %fewer, ptr @open
  %work = load %work, ptr @work
  %function = extractvalue %work %work, 0
  %given = extractvalue %work %work, 1
  %chunks = extractvalue %work %work, 2
  %round = extractvalue %work %work, 3
  %c = call i32 @pthread_mutex_unlock(ptr @mutex)
  call void @clear_flags()
  call void @take(ptr %function, ptr %given, i64 %chunks, i64 %round, i1 true)
  %d = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %look
}

; Start workers until there are `wanted`; the lock is held. Signals are left to other threads.
define internal void @hire(i64 %wanted) nounwind {
entry:
  %thread = alloca i64
  %all = alloca [128 x i8]
  %before = alloca [128 x i8]
  call void @llvm.memset.p0.i64(ptr %all, i8 -1, i64 128, i1 false)
  br label %look
look:
  %count = load i64, ptr @workers
  %few = icmp slt i64 %count, %wanted
  br i1 %few, label %one, label %enough
one:
  %a = call i32 @pthread_sigmask(i32 SIG_BLOCK, ptr %all, ptr %before)
  %failed = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker, ptr null)
  %b = call i32 @pthread_sigmask(i32 SIG_SETMASK, ptr %before, ptr null)
  %ok = icmp eq i32 %failed, 0
  br i1 %ok, label %made, label %enough
made:
  %id = load i64, ptr %thread
  %c = call i32 @pthread_detach(i64 %id)
  %more = add i64 %count, 1
  store i64 %more, ptr @workers
  br label %look
enough:
  ret void
}

; Do chunks with the help of others; this thread has the pool.
define internal void @share(ptr %function, ptr %given, i64 %chunks) nounwind {
entry:
  %threads = load i64, ptr @limit
  %others = sub i64 %threads, 1
  %rest = sub i64 %chunks, 1
  %plenty = icmp slt i64 %others, %rest
  %wanted = select i1 %plenty, i64 %others, i64 %rest
  %a = call i32 @pthread_mutex_lock(ptr @mutex)
  call void @hire(i64 %wanted)
  %number = load i64, ptr @round
  %following = add i64 %number, 1
  %round = and i64 %following, 16777215
  %w0 = insertvalue %work undef, ptr %function, 0
  %w1 = insertvalue %work %w0, ptr %given, 1
  %w2 = insertvalue %work %w1, i64 %chunks, 2
  %w3 = insertvalue %work %w2, i64 %round, 3
  store %work %w3, ptr @work
  store i64 %round, ptr @round
  store i32 0, ptr @flags
  store i64 %wanted, ptr @open
  store atomic i64 0, ptr @done seq_cst, align 8
  %tag = shl i64 %round, 40
  %last = shl i64 %chunks, 20
  %claims = or i64 %tag, %last
  store atomic i64 %claims, ptr @claims seq_cst, align 8
  %b = call i32 @pthread_cond_broadcast(ptr @wake)
  %c = call i32 @pthread_mutex_unlock(ptr @mutex)
  call void @take(ptr %function, ptr %given, i64 %chunks, i64 %round, i1 false)
  %so_far = load atomic i64, ptr @done seq_cst, align 8
  %complete = icmp eq i64 %so_far, %chunks
  br i1 %complete, label %finish, label %stay
stay:
  %d = call i32 @pthread_mutex_lock(ptr @mutex)
  store i64 0, ptr @open
  br label %look
look:
  %still = load atomic i64, ptr @done seq_cst, align 8
  %all = icmp eq i64 %still, %chunks
  br i1 %all, label %leave, label %wait
wait:
  %e = call i32 @pthread_cond_wait(ptr @idle, ptr @mutex)
  br label %look
leave:
  %f = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %finish
finish:
  %met = load atomic i32, ptr @flags seq_cst, align 4
  call void @add_flags(i32 %met)
  ret void
}

; Call a function for chunks 0, 1, ..., by as many threads as may work.
define void @parallel(ptr %function, ptr %given, i64 %chunks) nounwind {
entry:
  %threads = load i64, ptr @limit
  %several = icmp sgt i64 %threads, 1
  %countable = icmp slt i64 %chunks, 1048576
  %possible = and i1 %several, %countable
  br i1 %possible, label %try, label %alone
try:
  %swap = cmpxchg ptr @busy, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue { i64, i1 } %swap, 1
  br i1 %mine, label %together, label %alone
together:
  call void @share(ptr %function, ptr %given, i64 %chunks)
  store atomic i64 0, ptr @busy seq_cst, align 8
  ret void
alone:
  br label %next
next:
  %k = phi i64 [ 0, %alone ], [ %k1, %one ]
  %left = icmp slt i64 %k, %chunks
  br i1 %left, label %one, label %end
one:
  call void %function(ptr %given, i64 %k)
  %k1 = add i64 %k, 1
  br label %next
end:
  ret void
}

FLAGS_DEFINED
