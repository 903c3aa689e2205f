//! The step function: one match arm a block. A block takes the variables it mentions out of their
//! slots, runs the user's code as it was written, and puts back what is alive where it goes next.

use std::collections::{BTreeSet, HashSet};

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Lifetime;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};

use crate::ir::{
    AwaitId, Block, BlockId, BlockKind, Body, Derive, Exit, ForkId, Fragment, FragmentCode, Let,
    Node, Scope, Seq, VarId, fragments, walk,
};
use crate::layout::{Layout, Place};
use crate::liveness::{Liveness, Way};
use crate::lower::macros::visit_arguments_mut;

/// What the step function is made from.
pub(crate) struct Machine<'a> {
    pub(crate) body: &'a Body,
    pub(crate) liveness: &'a Liveness,
    pub(crate) layout: &'a Layout,
    /// The function that makes the step's return value from the user's, with its types.
    pub(crate) done: TokenStream,
}

/// Identifiers of ours inside the step function. They cannot clash with the user's.
pub(crate) fn own(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

fn label(name: &str) -> Lifetime {
    Lifetime::new(&format!("'{name}"), Span::mixed_site())
}

impl Machine<'_> {
    /// The body of the step function.
    pub(crate) fn step(&self) -> TokenStream {
        // A fork waits for nothing itself.
        let sites = (0..self.body.awaits.len()).map(AwaitId);
        let links = sites.filter(|site| self.body.fork_of(*site).is_none()).map(|site| {
            let link = self.link(site);
            quote!(let #link = ::durable::__private::Link::new();)
        });
        let locals = self.layout.slots.iter().enumerate().filter_map(|(index, slot)| {
            let local = local(index);
            (slot.place == Place::Local)
                .then(|| quote!(let mut #local = ::core::option::Option::None;))
        });
        // A jump that hides in a user's macro would go to our loop. Inside of a labelled block rustc
        // refuses it.
        let inside = label("__state");
        let arms = self.body.block_ids().map(|id| {
            let state = self.state(id);
            let code = BlockEmitter::new(self, id).emit();
            quote!(#state => #inside: { #code })
        });
        let cursor = own("__cursor");
        let durable = label("__durable");
        quote! {
            #(#links)*
            #(#locals)*
            #durable: loop {
                match #cursor.state {
                    #(#arms)*
                }
                ::durable::__private::fell_through();
            }
        }
    }

    fn state(&self, id: BlockId) -> TokenStream {
        let states = own("__State");
        let name = format_ident!("{}", self.layout.states[id.0].name);
        quote!(#states::#name)
    }

    /// The link of an await. It has the span of the await, where rustc shows what is wrong with it.
    fn link(&self, site: AwaitId) -> Ident {
        Ident::new(&format!("__link{}", site.0), self.body.awaits[site.0].span)
    }

    /// The slot of a variable, as a place.
    fn slot(&self, var: VarId) -> Option<TokenStream> {
        let (index, slot) = self.layout.slot(var)?;
        Some(if slot.place == Place::Local {
            local(index).to_token_stream()
        } else {
            let (frame, field) = (own("__frame"), field(index));
            quote!(#frame.#field)
        })
    }
}

fn local(index: usize) -> Ident {
    own(&format!("__local{index}"))
}

/// The field of the frame that is the slot at `index`.
pub(crate) fn field(index: usize) -> Ident {
    own(&format!("slot{index}"))
}

/// A way out of the block that still has to put variables back which are shadowed where it is: it
/// breaks to a label outside of what shadows them.
struct Pending {
    label: Lifetime,
    way: Way,
    left: BTreeSet<VarId>,
}

struct BlockEmitter<'a> {
    machine: &'a Machine<'a>,
    id: BlockId,
    block: &'a Block,
    /// The variables that are Rust locals somewhere in this block.
    here: HashSet<VarId>,
    /// What names mean where the emitter is: open scopes, outermost first.
    frames: Vec<Vec<VarId>>,
    next_label: usize,
}

impl<'a> BlockEmitter<'a> {
    fn new(machine: &'a Machine<'a>, id: BlockId) -> Self {
        let block = machine.body.block(id);
        let here = mentioned(block);
        Self { machine, id, block, here, frames: Vec::new(), next_label: 0 }
    }

    fn emit(mut self) -> TokenStream {
        let polled = self.poll();
        let mut at = 0;
        let scopes: Vec<Scope> = self.block.scopes.clone();
        let (code, pending) = self.open(&scopes, &mut at);
        debug_assert!(pending.is_empty(), "the outermost scope shadows nothing");
        quote!(#polled #code)
    }

    /// Takes the result that the block was resumed with, or waits on.
    fn poll(&self) -> TokenStream {
        let BlockKind::Resume { site, .. } = self.block.kind else { return TokenStream::new() };
        let span = self.machine.body.awaits[site.0].span;
        let (cursor, polled) = (own("__cursor"), own("__polled"));
        let link = self.machine.link(site);
        let poll = quote_spanned!(span=> ::durable::__private::poll(#cursor, #link));
        let suspend = match self.block.branch {
            Some(_) => switch(&quote!(#cursor.switch())),
            None => quote!(return ::durable::__private::suspended()),
        };
        quote! {
            let #polled = match #poll {
                ::core::option::Option::Some(output) => output,
                ::core::option::Option::None => { #suspend }
            };
        }
    }

    /// Opens the scopes that are open where the block begins, and emits its code inside them.
    fn open(&mut self, scopes: &[Scope], at: &mut usize) -> (TokenStream, Vec<Pending>) {
        let Some((scope, inner)) = scopes.split_first() else {
            return self.nodes(&self.block.code, at);
        };
        let mut derived = BTreeSet::new();
        let binds: TokenStream = scope
            .vars
            .iter()
            .filter(|v| self.here.contains(*v))
            .filter(|v| self.machine.body.var(**v).derived.is_none_or(|id| derived.insert(id)))
            .map(|v| self.bind(*v))
            .collect();
        self.frames.push(scope.vars.clone());
        let (head, mut pending) = if inner.is_empty() {
            (self.bind_result(), Vec::new())
        } else {
            let (code, pending) = self.open(inner, at);
            self.wrap(&quote!({ #code }), pending)
        };
        let (rest, rest_pending) = self.nodes(&self.block.code, at);
        pending.extend(rest_pending);
        self.frames.pop();
        (quote!(#binds #head #rest), pending)
    }

    fn bind_result(&mut self) -> TokenStream {
        let BlockKind::Resume { result, .. } = self.block.kind else { return TokenStream::new() };
        self.note(&[result]);
        let (ident, polled) = (&self.machine.body.var(result).ident, own("__polled"));
        if self.here.contains(&result) {
            quote!(#[allow(unused_mut)] let mut #ident = #polled;)
        } else {
            quote!(::core::mem::drop(#polled);)
        }
    }

    /// Makes a variable from before the block a local of it.
    fn bind(&self, var: VarId) -> TokenStream {
        if let Some(literal) = &self.machine.body.var(var).literal {
            let ident = &self.machine.body.var(var).ident;
            return quote!(let #ident = #literal;);
        }
        if let Some(derive) = self.machine.body.var(var).derived {
            let Derive { pat, again, .. } = &self.machine.body.derives[derive.0];
            return quote! {
                #[allow(unused_variables, irrefutable_let_patterns)]
                let #pat = #again else { ::durable::__private::item_gone() };
            };
        }
        let Some(slot) = self.machine.slot(var) else {
            return self.declare(var);
        };
        if !self.machine.liveness.live_in(self.id).contains(&var) {
            return self.declare(var);
        }
        let info = self.machine.body.var(var);
        let ident = &info.ident;
        let mutable = info.mutable.then(|| Ident::new("mut", Span::call_site()));
        quote!(#[allow(unused_mut)] let #mutable #ident = ::durable::__private::take(&mut #slot);)
    }

    fn declare(&self, var: VarId) -> TokenStream {
        let info = self.machine.body.var(var);
        let ident = &info.ident;
        let mutable = info.mutable.then(|| Ident::new("mut", Span::call_site()));
        let ty = info.ty.as_ref().map(|ty| quote!(: #ty));
        quote!(#[allow(unused_mut)] let #mutable #ident #ty;)
    }

    fn note(&mut self, vars: &[VarId]) {
        if let Some(frame) = self.frames.last_mut() {
            frame.extend(vars);
        }
    }

    fn is_visible(&self, var: VarId, shadowed: &BTreeSet<String>) -> bool {
        let ident = &self.machine.body.var(var).ident;
        let meant = self
            .frames
            .iter()
            .rev()
            .flat_map(|frame| frame.iter().rev())
            .find(|other| self.machine.body.var(**other).ident == *ident);
        meant == Some(&var) && !shadowed.contains(&ident.to_string())
    }

    // --- code -----------------------------------------------------------------------------------

    /// Emits nodes up to the end of the scope, or of the sequence.
    fn nodes(&mut self, nodes: &Seq, at: &mut usize) -> (TokenStream, Vec<Pending>) {
        let mut out = TokenStream::new();
        let mut pending = Vec::new();
        while let Some(node) = nodes.get(*at) {
            *at += 1;
            match node {
                Node::End(_) => break,
                Node::Begin(_) => {
                    self.frames.push(Vec::new());
                    let (code, inner) = self.nodes(nodes, at);
                    self.frames.pop();
                    let (code, left) = self.wrap(&quote!({ #code }), inner);
                    out.extend(code);
                    pending.extend(left);
                }
                node => {
                    let (code, left) = self.node(node);
                    out.extend(code);
                    pending.extend(left);
                }
            }
        }
        (out, pending)
    }

    fn seq(&mut self, seq: &Seq, binds: &[VarId]) -> (TokenStream, Vec<Pending>) {
        self.frames.push(binds.to_vec());
        let out = self.nodes(seq, &mut 0);
        self.frames.pop();
        out
    }

    fn node(&mut self, node: &Node) -> (TokenStream, Vec<Pending>) {
        match node {
            Node::Code(fragment) => {
                let (code, pending) = self.fragment(fragment);
                let code = match fragment.code {
                    FragmentCode::Stmt(_) => code,
                    FragmentCode::Expr(_) => quote!(#code;),
                };
                self.wrap(&code, pending)
            }
            Node::Let(binding) => self.let_node(binding),
            Node::Assign { var, value } => {
                let (code, pending) = self.fragment(value);
                let ident = &self.machine.body.var(*var).ident;
                self.wrap(&quote!(#ident = #code;), pending)
            }
            Node::Declare { var } => {
                // Where nothing gives it a value its type would not be known.
                if !self.here.contains(var) {
                    return (TokenStream::new(), Vec::new());
                }
                self.note(&[*var]);
                (self.declare(*var), Vec::new())
            }
            Node::If { condition, binds, then, otherwise } => {
                let mut condition = condition.clone();
                if let FragmentCode::Expr(expr) = &mut condition.code {
                    self.respan(binds).visit_expr_mut(expr);
                }
                let (condition, mut pending) = self.fragment(&condition);
                let (then, inner) = self.seq(then, binds);
                pending.extend(inner);
                let (otherwise, inner) = self.seq(otherwise, &[]);
                pending.extend(inner);
                self.wrap(&quote!(if #condition { #then } else { #otherwise }), pending)
            }
            Node::Match { scrutinee, arms } => {
                let (scrutinee, mut pending) = self.fragment(scrutinee);
                let mut out = TokenStream::new();
                for arm in arms {
                    let pat = self.pattern(&arm.pat, &arm.binds);
                    self.frames.push(arm.binds.clone());
                    let guard = arm.guard.as_ref().map(|guard| {
                        let (guard, inner) = self.fragment(guard);
                        pending.extend(inner);
                        quote!(if #guard)
                    });
                    self.frames.pop();
                    let (code, inner) = self.seq(&arm.code, &arm.binds);
                    pending.extend(inner);
                    out.extend(quote!(#pat #guard => { #code }));
                }
                self.wrap(&quote!(match #scrutinee { #out }), pending)
            }
            Node::Exit(exit) => self.exit(exit),
            Node::Begin(_) | Node::End(_) => (TokenStream::new(), Vec::new()),
        }
    }

    fn let_node(&mut self, binding: &Let) -> (TokenStream, Vec<Pending>) {
        let Let { attrs, pat, ty, init, otherwise, binds } = binding;
        let (init, pending) = self.fragment(init);
        let (mut init, mut left) = self.wrap_value(init, pending);
        if otherwise.is_some() && ends_with_brace(&init) {
            // Rust takes no brace before `else`.
            init = quote!((#init));
        }
        let otherwise = otherwise.as_ref().map(|otherwise| {
            let (code, pending) = self.seq(otherwise, &[]);
            let (code, inner) = self.wrap_diverging(&code, pending);
            left.extend(inner);
            quote!(else { #code ::durable::__private::fell_through() })
        });
        let pat = self.pattern(pat, binds);
        let ty = ty.as_ref().map(|ty| quote!(: #ty));
        self.note(binds);
        (quote!(#(#attrs)* let #pat #ty = #init #otherwise;), left)
    }

    /// A pattern. The `mut` of a variable that has a slot gets a span of ours: the variable may be
    /// changed only in another block, which rustc would report as an unused `mut`.
    fn pattern(&self, pat: &syn::Pat, binds: &[VarId]) -> TokenStream {
        let mut pat = pat.clone();
        self.respan(binds).visit_pat_mut(&mut pat);
        pat.to_token_stream()
    }

    fn respan(&self, binds: &[VarId]) -> Respan {
        let slots = binds
            .iter()
            .filter(|var| self.machine.layout.slot(**var).is_some())
            .map(|var| self.machine.body.var(*var).ident.to_string());
        Respan(slots.collect())
    }

    // --- leaving --------------------------------------------------------------------------------

    fn exit(&mut self, exit: &Exit) -> (TokenStream, Vec<Pending>) {
        match exit {
            Exit::Goto(target) => self.leave(Way::Goto(*target), &BTreeSet::new()),
            Exit::EndBranch { branch, decides } => {
                let way = Way::EndBranch { branch: *branch, decides: *decides };
                self.leave(way, &BTreeSet::new())
            }
            Exit::Fork { fork, enabled } => self.fork(*fork, enabled),
            Exit::Return(value) => {
                let (value, pending) = self.fragment(value);
                let done = &self.machine.done;
                self.wrap(&quote!(return #done(#value);), pending)
            }
            Exit::Suspend { site, call } => {
                let span = fragment_span(call);
                let (call, pending) = self.fragment(call);
                let (cursor, link) = (own("__cursor"), self.machine.link(*site));
                let begin = quote_spanned!(span=> #cursor.begin(&#link, #call););
                let target = self.machine.body.awaits[site.0].resume;
                let (goto, more) = self.leave(Way::Goto(target), &BTreeSet::new());
                let (begin, mut left) = self.wrap(&begin, pending);
                left.extend(more);
                (quote!(#begin #goto), left)
            }
        }
    }

    fn fork(&mut self, fork: ForkId, enabled: &[Option<Fragment>]) -> (TokenStream, Vec<Pending>) {
        let (leave, mut left) = self.leave(Way::Fork(fork), &BTreeSet::new());
        if enabled.iter().all(Option::is_none) {
            return (leave, left);
        }
        let (mut conditions, mut pending) = (Vec::new(), Vec::new());
        for condition in enabled {
            conditions.push(match condition {
                Some(condition) => {
                    let (condition, inner) = self.fragment(condition);
                    pending.extend(inner);
                    condition
                }
                None => quote!(true),
            });
        }
        let cursor = own("__cursor");
        let (enable, more) = self.wrap(&quote!(#cursor.enable(&[#(#conditions),*]);), pending);
        left.extend(more);
        (quote!(#enable #leave), left)
    }

    /// Leaves the block: what is alive on the way is put into its slot, what is not is dropped.
    fn leave(&mut self, way: Way, shadowed: &BTreeSet<String>) -> (TokenStream, Vec<Pending>) {
        let Machine { body, liveness, .. } = self.machine;
        let mut live = liveness.on_way(body, way);
        let mut dead: BTreeSet<VarId> = liveness.live_in(self.id).clone();
        let beside = match way {
            Way::EndBranch { branch, decides: Some(_) } => {
                // The other branches end here.
                let branch = body.branch(branch);
                dead.extend(liveness.in_branches(body, branch.fork));
                liveness.beside(body, branch.outer)
            }
            _ => liveness.beside(body, self.block.branch),
        };
        live.extend(beside);
        let (now, mut left): (BTreeSet<VarId>, BTreeSet<VarId>) = live
            .iter()
            .filter(|var| self.here.contains(*var))
            .partition(|var| self.is_visible(**var, shadowed));
        // What is made anew need not be put anywhere.
        left.retain(|var| !body.var(*var).is_made_anew());
        let dead = dead.iter().filter(|var| !self.here.contains(*var) && !live.contains(*var));
        let drops = dead
            .filter_map(|var| self.machine.slot(*var))
            .map(|slot| quote!(#slot = ::core::option::Option::None;));
        let drops: TokenStream = drops.collect();
        let puts = self.puts(&now);
        if left.is_empty() {
            let go = self.go(way);
            return (quote!(#drops #puts #go), Vec::new());
        }
        let out = self.fresh_label();
        (quote!(#drops #puts break #out;), vec![Pending { label: out, way, left }])
    }

    fn go(&self, way: Way) -> TokenStream {
        let Machine { body, .. } = self.machine;
        let (cursor, durable) = (own("__cursor"), label("__durable"));
        match way {
            Way::Goto(target) => {
                let state = self.machine.state(target);
                quote!(#cursor.state = #state; continue #durable;)
            }
            Way::Fork(fork) => {
                let fork = body.fork(fork);
                let joined = self.machine.state(fork.joined);
                let starts =
                    fork.branches.iter().map(|b| self.machine.state(body.branch(*b).start));
                quote!(#cursor.fork(#joined, &[#(#starts),*]); continue #durable;)
            }
            Way::EndBranch { branch, decides: Some(target) } => {
                let state = self.machine.state(target);
                let cancels = body.fork(body.branch(branch).fork).cancels;
                quote!(#cursor.decide(#state, #cancels); continue #durable;)
            }
            Way::EndBranch { decides: None, .. } => switch(&quote!(#cursor.end_branch())),
        }
    }

    fn puts(&self, vars: &BTreeSet<VarId>) -> TokenStream {
        // What is borrowed is needed later, so it is not unused here. What it borrows from can be
        // touched only after that.
        let borrowed = vars.iter().rev().filter(|v| self.machine.body.var(**v).derived.is_some());
        let borrowed: TokenStream = borrowed
            .map(|var| {
                let ident = &self.machine.body.var(*var).ident;
                quote!(let _ = &#ident;)
            })
            .collect();
        let puts: TokenStream = vars
            .iter()
            .filter_map(|var| {
                let info = self.machine.body.var(*var);
                let ident = &info.ident;
                if info.derived.is_some() {
                    return None;
                }
                if info.literal.is_some() {
                    // It is needed later, so it is not unused here.
                    return Some(quote!(let _ = #ident;));
                }
                let slot = self.machine.slot(*var)?;
                Some(quote!(#slot = ::core::option::Option::Some(#ident);))
            })
            .collect();
        quote!(#borrowed #puts)
    }

    fn fresh_label(&mut self) -> Lifetime {
        self.next_label += 1;
        label(&format!("__out{}", self.next_label))
    }

    /// Catches the pending ways out of a statement that can go further here.
    fn wrap(&mut self, code: &TokenStream, pending: Vec<Pending>) -> (TokenStream, Vec<Pending>) {
        if pending.is_empty() {
            return (code.clone(), pending);
        }
        let skip = self.fresh_label();
        let (code, left) = self.catch(&quote!(#code break #skip;), pending);
        (quote!(#skip: { #code }), left)
    }

    /// The same for code that does not come back.
    fn wrap_diverging(
        &mut self,
        code: &TokenStream,
        pending: Vec<Pending>,
    ) -> (TokenStream, Vec<Pending>) {
        self.catch(code, pending)
    }

    /// The same for an expression.
    fn wrap_value(
        &mut self,
        code: TokenStream,
        pending: Vec<Pending>,
    ) -> (TokenStream, Vec<Pending>) {
        if pending.is_empty() {
            return (code, pending);
        }
        let skip = self.fresh_label();
        let (code, left) = self.catch(&quote!(break #skip (#code);), pending);
        (quote!(#skip: { #code }), left)
    }

    fn catch(&mut self, code: &TokenStream, pending: Vec<Pending>) -> (TokenStream, Vec<Pending>) {
        let mut code = code.clone();
        let mut outer = Vec::new();
        for way in pending {
            let (now, left): (BTreeSet<VarId>, BTreeSet<VarId>) =
                way.left.iter().partition(|var| self.is_visible(**var, &BTreeSet::new()));
            let puts = self.puts(&now);
            let label = way.label;
            let leave = if left.is_empty() {
                self.go(way.way)
            } else {
                let out = self.fresh_label();
                let leave = quote!(break #out;);
                outer.push(Pending { label: out, way: way.way, left });
                leave
            };
            code = quote!(#label: { #code } #puts #leave);
        }
        (code, outer)
    }

    // --- fragments --------------------------------------------------------------------------------

    /// The code of a fragment, with its jumps and returns made ours.
    fn fragment(&mut self, fragment: &Fragment) -> (TokenStream, Vec<Pending>) {
        let mut pending = Vec::new();
        let mut jumps = Vec::new();
        for jump in &fragment.jumps {
            let way = Way::Goto(jump.target);
            let (code, left) = self.leave(way, &jump.shadowed);
            pending.extend(left);
            jumps.push((jump.mark.clone(), code));
        }
        let mut rewrite = Rewrite { jumps, done: &self.machine.done };
        let code = match &fragment.code {
            FragmentCode::Expr(expr) => {
                let mut expr = (**expr).clone();
                rewrite.visit_expr_mut(&mut expr);
                expr.to_token_stream()
            }
            FragmentCode::Stmt(stmt) => {
                let mut stmt = (**stmt).clone();
                rewrite.visit_stmt_mut(&mut stmt);
                stmt.to_token_stream()
            }
        };
        (code, pending)
    }
}

fn ends_with_brace(code: &TokenStream) -> bool {
    matches!(code.clone().into_iter().last(), Some(TokenTree::Group(group))
        if group.delimiter() == Delimiter::Brace)
}

fn fragment_span(fragment: &Fragment) -> Span {
    match &fragment.code {
        FragmentCode::Expr(expr) => expr.span(),
        FragmentCode::Stmt(stmt) => stmt.span(),
    }
}

/// Goes on in another branch if `switched`, which says whether there is one that can run.
fn switch(switched: &TokenStream) -> TokenStream {
    let durable = label("__durable");
    quote! {
        if #switched { continue #durable; }
        return ::durable::__private::suspended();
    }
}

/// The variables that the block's code mentions, binds or assigns, and not just declares.
fn mentioned(block: &Block) -> HashSet<VarId> {
    let mut vars = HashSet::new();
    walk(&block.code, &mut |node| {
        for fragment in fragments(node) {
            vars.extend(&fragment.uses);
            vars.extend(&fragment.assigns);
        }
        match node {
            Node::Let(binding) => vars.extend(&binding.binds),
            Node::Assign { var, .. } => {
                vars.insert(*var);
            }
            Node::If { binds, .. } => vars.extend(binds),
            Node::Match { arms, .. } => vars.extend(arms.iter().flat_map(|arm| &arm.binds)),
            _ => {}
        }
    });
    vars
}

/// Gives the `mut` of these names a span of ours.
struct Respan(HashSet<String>);

impl VisitMut for Respan {
    fn visit_pat_ident_mut(&mut self, pat: &mut syn::PatIdent) {
        if self.0.contains(&pat.ident.to_string())
            && let Some(mutability) = &mut pat.mutability
        {
            mutability.span = Span::call_site();
        }
        visit_mut::visit_pat_ident_mut(self, pat);
    }
}

/// Replaces marks by jumps, and converts the values of `return`.
struct Rewrite<'a> {
    jumps: Vec<(Ident, TokenStream)>,
    done: &'a TokenStream,
}

impl VisitMut for Rewrite<'_> {
    fn visit_expr_mut(&mut self, expr: &mut syn::Expr) {
        visit_mut::visit_expr_mut(self, expr);
        match expr {
            syn::Expr::Path(path) => {
                let Some(ident) = path.path.get_ident() else { return };
                if let Some((_, code)) = self.jumps.iter().find(|(mark, _)| mark == ident) {
                    *expr = syn::Expr::Verbatim(quote!({ #code }));
                }
            }
            syn::Expr::Return(ret) => {
                let done = self.done;
                let value = ret.expr.take().map_or_else(|| quote!(()), ToTokens::into_token_stream);
                ret.expr = Some(Box::new(syn::Expr::Verbatim(quote!(#done(#value)))));
            }
            _ => {}
        }
    }

    fn visit_macro_mut(&mut self, mac: &mut syn::Macro) {
        visit_arguments_mut(mac, &mut |argument| self.visit_expr_mut(argument));
    }

    fn visit_expr_closure_mut(&mut self, _: &mut syn::ExprClosure) {}

    fn visit_expr_async_mut(&mut self, _: &mut syn::ExprAsync) {}

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}
