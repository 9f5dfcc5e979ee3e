--- Generate, summarize, explain, translate: started by a command of the server, shown by its progress, cancelled by it.
local config = require("cato.config")
local server = require("cato.server")

local M = {}

---@type table<lsp.ProgressToken, string> Titles of what is running.
local progress = {}

---@type string
local last_language

---@return string? # Title of what is running, if anything is.
function M.running()
  local _, title = next(progress)
  return title
end

--- Follow the server's progress.
---@param group integer Of autocommands.
function M.setup(group)
  vim.api.nvim_create_autocmd("LspProgress", {
    group = group,
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      if not client or client.name ~= server.NAME then
        return
      end
      local token, value = event.data.params.token, event.data.params.value
      if value.kind == "begin" then
        progress[token] = value.title
      elseif value.kind == "end" then
        progress[token] = nil
      end
      vim.cmd.redrawstatus()
    end,
  })
end

--- Cancel a running task; without a token all.
---@param token? lsp.ProgressToken
function M.cancel(token)
  for each in pairs(progress) do
    if token == nil or token == each then
      server.notify("window/workDoneProgress/cancel", { token = each })
    end
  end
end

---@param command string
---@param first integer 1-based line
---@param last integer
---@param language? string
local function execute(command, first, last, language)
  local client = vim.lsp.get_clients({ name = server.NAME, bufnr = 0 })[1]
  if not client then
    vim.notify("cato: the server does not run in this buffer; see :checkhealth cato", vim.log.levels.WARN)
    return
  end
  local text = vim.api.nvim_buf_get_lines(0, last - 1, last, false)[1] or ""
  local argument = {
    uri = vim.uri_from_bufnr(0),
    range = {
      start = { line = first - 1, character = 0 },
      ["end"] = { line = last - 1, character = vim.str_utfindex(text, client.offset_encoding) },
    },
    language = language,
  }
  client:exec_cmd({ title = command, command = command, arguments = { argument } }, { bufnr = 0 }, function(err)
    if err then
      vim.notify("cato: " .. err.message, vim.log.levels.ERROR)
    end
  end)
end

---@param first integer
---@param last integer
function M.generate(first, last)
  execute("cato.generate", first, last)
end

---@param first integer
---@param last integer
function M.summarize(first, last)
  execute("cato.summarize", first, last)
end

---@param first integer
---@param last integer
function M.explain(first, last)
  execute("cato.explain", first, last)
end

--- Translate lines; without a language ask for one.
---@param first integer
---@param last integer
---@param language? string
function M.translate(first, last, language)
  if language then
    last_language = language
    execute("cato.translate", first, last, language)
    return
  end
  local own = vim.bo.filetype
  local languages = vim.tbl_filter(function(each)
    return each ~= own and each ~= last_language
  end, config.options.languages)
  if last_language and last_language ~= own then
    table.insert(languages, 1, last_language)
  end
  vim.ui.select(languages, { prompt = "Translate to" }, function(choice)
    if choice then
      M.translate(first, last, choice)
    end
  end)
end

return M
