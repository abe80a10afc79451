//! The server half of a connection: what each method of the protocol comes to.

#![expect(
    deprecated,
    reason = "the methods of the older era are deprecated, and clients of that era call them"
)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
    CompleteResult, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, LoggingLevel, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::task_manager::TaskManager;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;

use crate::call::Call;
use crate::catalog::{Catalog, model};
use crate::changes::{self, Changes};
use crate::seal::Seal;
use crate::{demo, jobs, prompts, resources, rounds, tools};

type Context = RequestContext<RoleServer>;

/// What all connections share, and what one session of the older era has set.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) shared: Arc<Shared>,
    pub(crate) level: Arc<Mutex<LoggingLevel>>,
    watched: Watched,
}

pub(crate) struct Shared {
    pub(crate) catalog: Catalog,
    pub(crate) tasks: TaskManager,
    pub(crate) changes: Changes,
    pub(crate) seal: Seal,
}

/// The resources that a session of the older era has subscribed to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched(Arc<Mutex<BTreeSet<String>>>);

impl Watched {
    pub(crate) fn contains(&self, uri: &str) -> bool {
        self.lock().contains(uri)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Fixture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fixture").finish_non_exhaustive()
    }
}

impl Fixture {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self::over(Arc::new(Shared {
            catalog: Catalog::read()?,
            tasks: TaskManager::new(),
            changes: Changes::new(),
            seal: Seal::new()?,
        })))
    }

    /// For another session: everything shared, nothing set.
    pub(crate) fn fresh(&self) -> Self {
        Self::over(Arc::clone(&self.shared))
    }

    fn over(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            level: Arc::new(Mutex::new(LoggingLevel::Debug)),
            watched: Watched::default(),
        }
    }

    async fn answer(&self, call: &Call<'_>) -> Result<CallToolResponse, ErrorData> {
        if let Some(answer) = tools::answer(call).await {
            return answer;
        }
        if let Some(answer) = rounds::answer(call).await {
            return answer;
        }
        if let Some(answer) = jobs::answer(call).await {
            return answer;
        }
        if let Some(answer) = demo::answer(call).await {
            return answer;
        }
        let name = call.name();
        Err(ErrorData::invalid_params(
            format!("Unknown tool: {name}"),
            None,
        ))
    }
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "subscribe": true, "listChanged": true },
            "logging": {},
            "completions": {},
            "extensions": { "io.modelcontextprotocol/tasks": {} },
        });
        ServerConfig::new(model(capabilities).unwrap_or_default())
            .with_server_info(Implementation::new("sallyport-fixture", "1.0.0"))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.shared.catalog.tool(name).cloned()
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(
            self.shared.catalog.tools.clone(),
        ))
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = Call {
            fixture: self,
            params,
            context,
        };
        self.answer(&call).await
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(
            self.shared.catalog.prompts.clone(),
        ))
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&params, &context)
    }

    async fn complete(
        &self,
        params: CompleteRequestParams,
        _context: Context,
    ) -> Result<CompleteResult, ErrorData> {
        prompts::complete(&params)
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(
            self.shared.catalog.resources.clone(),
        ))
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(
            self.shared.catalog.templates.clone(),
        ))
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        _context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&params.uri)
    }

    async fn subscribe(
        &self,
        params: SubscribeRequestParams,
        _context: Context,
    ) -> Result<(), ErrorData> {
        self.watched.lock().insert(params.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        params: UnsubscribeRequestParams,
        _context: Context,
    ) -> Result<(), ErrorData> {
        self.watched.lock().remove(&params.uri);
        Ok(())
    }

    async fn set_level(
        &self,
        params: SetLevelRequestParams,
        _context: Context,
    ) -> Result<(), ErrorData> {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = params.level;
        Ok(())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let changes = self.shared.changes.listen();
        tokio::spawn(changes::to_session(
            changes,
            context.peer,
            self.watched.clone(),
        ));
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        changes::to_stream(self.shared.changes.listen(), &context).await;
        Ok(())
    }

    async fn get_task(
        &self,
        params: GetTaskParams,
        _context: Context,
    ) -> Result<GetTaskResult, ErrorData> {
        self.shared
            .tasks
            .get_task(&params.task_id)
            .map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        params: UpdateTaskParams,
        _context: Context,
    ) -> Result<(), ErrorData> {
        self.shared
            .tasks
            .update_task(&params.task_id, params.input_responses)
    }

    async fn cancel_task(
        &self,
        params: CancelTaskParams,
        _context: Context,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&params.task_id)
    }
}
