; The pool of threads that share the work of large loop nests.
;
; A thread that has work for others publishes it as numbered chunks. Whoever is free takes the next
; number, the publisher too, who at the end waits for those that are still at a chunk. All waiting
; is done in the kernel, so that an idle pool costs nothing. There is one piece of work at a time: a
; thread that finds the pool busy does its work alone. Which thread does a chunk makes no difference
; to the result.

%work = type { ptr, ptr, i64 } ; the function, what it is handed, the number of chunks

@mutex = global [128 x i8] zeroinitializer, align 64
@wake = global [128 x i8] zeroinitializer, align 64 ; there is work
@idle = global [128 x i8] zeroinitializer, align 64 ; nobody is at a chunk any more
@next = global i64 0, align 64    ; the next chunk that nobody has taken
@work = global %work zeroinitializer, align 64
@round = global i64 0             ; counts the pieces of work
@open = global i64 0              ; how many workers may still join
@active = global i64 0            ; how many workers have joined and not left
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
  store i64 0, ptr @active
  store i64 0, ptr @open
  store i64 0, ptr @busy
  %a = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %b = call i32 @pthread_cond_init(ptr @wake, ptr null)
  %c = call i32 @pthread_cond_init(ptr @idle, ptr null)
  ret void
}

define internal void @take(ptr %function, ptr %given, i64 %chunks) nounwind {
entry:
  br label %again
again:
  %chunk = atomicrmw add ptr @next, i64 1 seq_cst
  %some = icmp slt i64 %chunk, %chunks
  br i1 %some, label %one, label %none
one:
  call void %function(ptr %given, i64 %chunk)
  br label %again
none:
  ret void
}

define internal ptr @worker(ptr %unused) nounwind {
entry:
  %a = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %look
look:
  %seen = phi i64 [ 0, %entry ], [ %seen, %sleep ], [ %now, %leave ]
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
  %before = load i64, ptr @active
  %more = add i64 %before, 1
  store i64 %more, ptr @active
  %work = load %work, ptr @work
  %function = extractvalue %work %work, 0
  %given = extractvalue %work %work, 1
  %chunks = extractvalue %work %work, 2
  %c = call i32 @pthread_mutex_unlock(ptr @mutex)
  call void @clear_flags()
  call void @take(ptr %function, ptr %given, i64 %chunks)
  %met = call i32 @read_flags()
  %d = call i32 @pthread_mutex_lock(ptr @mutex)
  %others = load i32, ptr @flags
  %all = or i32 %others, %met
  store i32 %all, ptr @flags
  %here = load i64, ptr @active
  %left = sub i64 %here, 1
  store i64 %left, ptr @active
  %last = icmp eq i64 %left, 0
  br i1 %last, label %tell, label %leave
tell:
  %e = call i32 @pthread_cond_signal(ptr @idle)
  br label %leave
leave:
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

; Call a function for chunks 0, 1, ..., by as many threads as may work.
define void @parallel(ptr %function, ptr %given, i64 %chunks) nounwind {
entry:
  %threads = load i64, ptr @limit
  %several = icmp sgt i64 %threads, 1
  br i1 %several, label %try, label %alone
try:
  %swap = cmpxchg ptr @busy, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue { i64, i1 } %swap, 1
  br i1 %mine, label %publish, label %alone
publish:
  %others = sub i64 %threads, 1
  %rest = sub i64 %chunks, 1
  %plenty = icmp slt i64 %others, %rest
  %wanted = select i1 %plenty, i64 %others, i64 %rest
  %a = call i32 @pthread_mutex_lock(ptr @mutex)
  call void @hire(i64 %wanted)
  %w0 = insertvalue %work undef, ptr %function, 0
  %w1 = insertvalue %work %w0, ptr %given, 1
  %w2 = insertvalue %work %w1, i64 %chunks, 2
  store %work %w2, ptr @work
  store i64 0, ptr @next
  store i32 0, ptr @flags
  store i64 %wanted, ptr @open
  %number = load i64, ptr @round
  %following = add i64 %number, 1
  store i64 %following, ptr @round
  %b = call i32 @pthread_cond_broadcast(ptr @wake)
  %c = call i32 @pthread_mutex_unlock(ptr @mutex)
  call void @take(ptr %function, ptr %given, i64 %chunks)
  %d = call i32 @pthread_mutex_lock(ptr @mutex)
  store i64 0, ptr @open
  br label %look
look:
  %still = load i64, ptr @active
  %done = icmp eq i64 %still, 0
  br i1 %done, label %finish, label %wait
wait:
  %e = call i32 @pthread_cond_wait(ptr @idle, ptr @mutex)
  br label %look
finish:
  %met = load i32, ptr @flags
  %f = call i32 @pthread_mutex_unlock(ptr @mutex)
  store atomic i64 0, ptr @busy seq_cst, align 8
  call void @add_flags(i32 %met)
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
